"""Rounds: everybody does everything, nobody always first, and one that fails stops nobody."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare.commands import NotStartedError
from benchmarks.compare.contenders import EVERYTHING
from benchmarks.compare.figures import NotMeasuredError
from benchmarks.compare.record import Server
from benchmarks.compare.rounds import Run, in_turn
from benchmarks.compare.works import WORKS
from fileloft_fast.bench.sizes import Sizes
from fileloft_fast.bench.source import Source

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Fake:
    """Measures nothing, and remembers that it was asked."""

    name: str
    asked: list[str]
    wrong: dict[str, Exception] = field(default_factory=dict)
    works: frozenset[str] = EVERYTHING
    takes_s: float = 0.0

    @property
    def server(self) -> Server:
        return Server(name=self.name, version="1", sync="no", checksum="no")

    def measure(
        self,
        work: str,
        folder: Path,
        sizes: Sizes,  # noqa: ARG002 - what a contender is given
        source: Source,  # noqa: ARG002
    ) -> dict[str, float]:
        self.asked.append(f"{work} {self.name}")
        assert not list(folder.iterdir())
        (folder / "small").write_bytes(b"file")
        time.sleep(self.takes_s)
        if work in self.wrong:
            raise self.wrong[work]
        return {"gb_per_s": 1.0}


def run_of(tmp_path: Path, source: Source, fakes: list[Fake], works: set[str]) -> Run:
    chosen = [work for work in WORKS if work.name in works]
    return Run(tmp_path, fakes, chosen, Sizes(), source, lambda _: None)


@given(st.integers(1, 12), st.integers(0, 30))
def test_each_takes_part_once_in_a_round(count: int, number: int) -> None:
    assert sorted(in_turn(range(count), number)) == list(range(count))


def test_over_the_rounds_nobody_always_comes_first_or_after_the_same() -> None:
    names = "abcdef"
    orders = [in_turn(names, number) for number in range(6)]
    assert {order[0] for order in orders} >= set("ac")
    assert len({order[0] for order in orders}) >= 3
    before_b = {first for order in orders for first, second in pairwise(order) if second == "b"}
    assert len(before_b) > 1


def test_every_work_is_done_by_every_server_that_does_it_in_a_folder_of_its_own(
    tmp_path: Path,
) -> None:
    asked: list[str] = []
    fakes = [Fake("a", asked), Fake("b", asked, works=frozenset({"large"})), Fake("c", asked)]
    with Source(4096) as source:
        run = run_of(tmp_path, source, fakes, {"large", "small"})
        assert run.rounds(3, 60) == 3
    assert len(run.samples) == 3 * 5
    assert {(sample.work, sample.server) for sample in run.samples} == {
        ("large", "a"),
        ("large", "b"),
        ("large", "c"),
        ("small", "a"),
        ("small", "c"),
    }
    assert asked[:5] != asked[5:10]


def test_small_files_stay_and_large_ones_go(tmp_path: Path) -> None:
    with Source(4096) as source:
        run_of(tmp_path, source, [Fake("a/b", [])], {"large", "small"}).rounds(1, 60)
    assert [path.name for path in tmp_path.iterdir()] == ["1-small-a-b"]
    assert (tmp_path / "1-small-a-b" / "small").exists()


def test_a_server_that_does_not_start_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    said: list[str] = []
    asked: list[str] = []
    broken = Fake("broken", asked, {"small": NotStartedError("ended with 1: no licence")})
    with Source(4096) as source:
        run = run_of(tmp_path, source, [broken, Fake("good", asked)], {"large", "small"})
        run.say = said.append
        run.rounds(2, 60)
    assert run.missing == {"broken": "ended with 1: no licence"}
    assert [line for line in said if "broken" in line] == [
        "not measured: broken: ended with 1: no licence"
    ]
    assert asked.count("small broken") == 1
    assert "large broken" not in asked
    assert asked.count("large good") == 2


def test_a_work_that_fails_costs_that_work_alone(tmp_path: Path) -> None:
    asked: list[str] = []
    half = Fake("half", asked, {"chunks": NotMeasuredError("not offered: checksum")})
    with Source(4096) as source:
        run = run_of(tmp_path, source, [half], {"chunks", "large"})
        run.rounds(2, 60)
    assert run.missing == {"half, chunks": "not offered: checksum"}
    assert asked == ["large half", "chunks half", "large half"]


def test_a_server_that_dies_of_a_work_stops_nobody(tmp_path: Path) -> None:
    dead = Fake("dead", [], {"large": ProcessLookupError(3, "No such process")})
    with Source(4096) as source:
        run = run_of(tmp_path, source, [dead, Fake("good", [])], {"large"})
        run.rounds(1, 60)
    assert [sample.server for sample in run.samples] == ["good"]


def test_no_round_begins_that_would_end_too_late(tmp_path: Path) -> None:
    slow = Fake("slow", [], takes_s=0.2)
    with Source(4096) as source:
        assert run_of(tmp_path, source, [slow], {"large"}).rounds(100, 0.5) in {1, 2}


def test_what_takes_long_is_done_in_every_second_round(tmp_path: Path) -> None:
    asked: list[str] = []
    with Source(4096) as source:
        run_of(tmp_path, source, [Fake("a", asked)], {"slow"}).rounds(5, 60)
    assert len(asked) == 3
