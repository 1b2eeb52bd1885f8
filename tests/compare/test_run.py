"""A short run of everything: each server is started, does a little of each work and is ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks import peers
from benchmarks.compare.bars import DURABLE, OURS
from benchmarks.compare.field import DURABLE_TWO, plan_field
from benchmarks.compare.figures import NotMeasuredError
from benchmarks.compare.named import Named
from benchmarks.compare.rounds import Run
from benchmarks.compare.table import LIMIT, SYNCED_LIMIT
from benchmarks.compare.works import WORKS
from fileloft_fast.bench.sizes import MIB, Sizes
from fileloft_fast.bench.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.compare.contenders import Contender

TINY: Final = Sizes(
    size_bytes=16 * MIB,
    streams=2,
    chunk_bytes=4 * MIB,
    small_count=50,
    connections=4,
    resumes=1,
    heads=2,
    slow_connections=8,
    slow_s=1.0,
    timeout_s=20,
)
MEASURED: Final = {
    OURS: {"large", "streams", "chunks", "small", "download"},
    DURABLE_TWO: {"small", "resume", "slow"},
    DURABLE: {"large", "resume", "slow", "small"},
    "nginx": {"large", "download"},
    "@tus/server": {"large", "small", "download"},
    "tuspyserver": {"large", "small"},
    LIMIT: {"large", "streams", "chunks", "small", "download"},
    SYNCED_LIMIT: {"small"},
}


@pytest.fixture(scope="module")
def source() -> Iterator[Source]:
    with Source(4 * MIB) as source:
        yield source


@pytest.fixture(scope="module")
def field() -> dict[str, Contender]:
    peers.build()
    return {contender.server.name: contender for contender in plan_field([])}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "work"), [(name, work) for name, works in MEASURED.items() for work in sorted(works)]
)
def test_a_server_does_a_work_and_has_the_figures_of_it(
    tmp_path: Path, field: dict[str, Contender], source: Source, name: str, work: str
) -> None:
    (told,) = [one for one in WORKS if one.name == work]
    figures = field[name].measure(work, tmp_path, TINY, source)
    assert told.headline.key in figures
    assert figures[told.headline.key] >= 0
    if not name.startswith("limit"):
        assert {figure.key for figure in told.figures} <= figures.keys()


@pytest.mark.parametrize(("name", "work"), [("@tus/server", "chunks"), ("tuspyserver", "download")])
def test_what_a_peer_does_not_offer_is_told(
    tmp_path: Path, field: dict[str, Contender], source: Source, name: str, work: str
) -> None:
    with pytest.raises(NotMeasuredError, match="not offered: "):
        field[name].measure(work, tmp_path, TINY, source)


def test_every_server_has_a_version_and_says_what_it_promises(field: dict[str, Contender]) -> None:
    assert [name for name in field if name not in MEASURED] == [f"{OURS}, 2 workers"]
    for contender in field.values():
        server = contender.server
        assert server.sync
        assert server.checksum
        assert server.version or server.name.startswith("limit")


def test_a_round_of_ours_and_the_limit_leaves_samples(
    tmp_path: Path, field: dict[str, Contender], source: Source
) -> None:
    work = next(work for work in WORKS if work.name == "small")
    run = Run(tmp_path, [field[OURS], field[LIMIT]], [work], TINY, source, lambda _: None)
    assert run.rounds(2, 60) == 2
    assert [(sample.round, sample.server) for sample in run.samples] == [
        (1, OURS),
        (1, LIMIT),
        (2, OURS),
        (2, LIMIT),
    ]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_server_of_the_user_is_measured_and_one_that_does_not_start_stops_nobody(
    tmp_path: Path, source: Source
) -> None:
    named = [
        Named(
            name="mine",
            command=[sys.executable, "-m", "fileloft_fast", "serve"],
            environment={"FILELOFT_BIND": "127.0.0.1:{port}", "FILELOFT_DATA_DIR": "{directory}"},
            sync="yes, says the user",
            checksum="yes",
        ),
        Named(name="none", command=["no-such-tusd", "{port}"], sync="no", checksum="no"),
    ]
    both = [one for one in plan_field(named) if one.server.name in {"mine", "none"}]
    large = next(work for work in WORKS if work.name == "large")
    run = Run(tmp_path, both, [large], TINY, source, lambda _: None)
    run.rounds(1, 60)
    assert [sample.server for sample in run.samples] == ["mine"]
    assert run.missing == {"none": "no-such-tusd: No such file or directory"}


def test_prepare_is_quick_where_nothing_changed() -> None:
    subprocess.run([Path("benchmarks/compare/prepare")], check=True, timeout=60)
