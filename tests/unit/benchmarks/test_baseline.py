"""How figures are judged beside the stored ones, and what a run of benchmarks makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from benchmarks import baseline
from benchmarks.baseline import (
    Baseline,
    Judgement,
    judge,
    read_baseline,
    render_table,
    rounded,
    write_baseline,
)
from benchmarks.micro.yardsticks import YARDSTICKS, Yardstick
from fileloft_fast.dataplane import ALGORITHMS
from tests.unit.guards.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

STORED: Final = {"a": 1.0, "b": 2.0, "c": 0.1, "gone": 3.0}
NOW: Final = {"a": 1.2, "b": 2.6, "c": 0.07, "new": 4.0}


def judged() -> dict[str, Judgement]:
    return {each.name: each.judgement for each in judge(STORED, NOW, lambda _: 0.25)}


def test_growth_beyond_the_tolerance_is_a_regression_and_a_drop_as_large_is_told() -> None:
    assert judged() == {
        "a": Judgement.SAME,
        "b": Judgement.WORSE,
        "c": Judgement.BETTER,
        "gone": Judgement.GONE,
        "new": Judgement.NEW,
    }


def test_what_is_worse_or_gone_makes_a_run_fail_and_nothing_else() -> None:
    verdicts = judge(STORED, NOW, lambda _: 0.25)
    assert [each.name for each in verdicts if each.bad] == ["b", "gone"]


def test_each_figure_has_a_tolerance_of_its_own() -> None:
    tolerances = {"a": 0.1, "b": 0.5}
    verdicts = judge({"a": 1.0, "b": 1.0}, {"a": 1.2, "b": 1.2}, tolerances.__getitem__)
    assert [each.judgement for each in verdicts] == [Judgement.WORSE, Judgement.SAME]


def test_a_tolerance_reaches_as_far_down_as_up() -> None:
    (half,) = judge({"a": 2.0}, {"a": 1.01}, lambda _: 1.0)
    (less,) = judge({"a": 2.0}, {"a": 0.99}, lambda _: 1.0)
    assert (half.judgement, less.judgement) == (Judgement.SAME, Judgement.BETTER)


def test_a_table_has_name_baseline_now_change_and_judgement() -> None:
    lines = render_table(judge(STORED, NOW, lambda _: 0.25)).splitlines()
    assert [line.split() for line in lines] == [
        ["baseline", "now", "change"],
        ["a", "1", "1.2", "+20.0%"],
        ["b", "2", "2.6", "+30.0%", "WORSE"],
        ["c", "0.1", "0.07", "-30.0%", "better"],
        ["gone", "3", "-", "-", "GONE"],
        ["new", "-", "4", "-", "new"],
    ]


def test_a_baseline_survives_the_file(tmp_path: Path) -> None:
    stored = Baseline({"a": 1.25}, {"cp311": {"small": 123456.0}})
    write_baseline(stored, tmp_path / "baseline.json")
    assert read_baseline(tmp_path / "baseline.json") == stored
    assert read_baseline(tmp_path / "none.json") == Baseline()


def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text('{"ratios": {"a": "fast"}}')
    with pytest.raises(msgspec.ValidationError, match="ratios"):
        read_baseline(tmp_path / "baseline.json")


def test_figures_are_stored_with_the_digits_that_mean_something() -> None:
    assert rounded({"a": 0.0123456, "b": 123456.7}) == {"a": 0.01235, "b": 123500.0}


def test_every_checksum_has_a_yardstick() -> None:
    assert set(ALGORITHMS) <= set(YARDSTICKS)


def test_a_yardstick_is_what_its_work_takes() -> None:
    took: list[int] = []
    assert Yardstick(lambda: took.append(len(took)), 0.1).measure() > 0
    assert len(took) > 1


def test_the_stored_baseline_can_be_read_and_is_not_empty() -> None:
    assert read_baseline(baseline.PATH).ratios


TWO: Final = (
    "def test_a(paired):\n    assert paired(sum, [1, 2]) == 3\n\n"
    "def test_b(paired):\n    assert paired(sum, [1, 2, 3]) == 6\n"
)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a copy of the benchmarks with two of its own and no baseline."""
    micro = tmp_path / "benchmarks" / "micro"
    micro.mkdir(parents=True)
    for path in ("__init__.py", "baseline.py"):
        (tmp_path / "benchmarks" / path).write_bytes((ROOT / "benchmarks" / path).read_bytes())
    for name in ("__init__.py", "__main__.py", "conftest.py", "paired.py", "yardsticks.py"):
        (micro / name).write_bytes((ROOT / "benchmarks" / "micro" / name).read_bytes())
    (micro / "test_two.py").write_text(TWO)
    return tmp_path


def run(desk: Path, *words: str) -> subprocess.CompletedProcess[str]:
    # Whoever runs as one of several test processes must measure nothing; this one is of its own.
    return subprocess.run(
        ["env", "--unset=PYTEST_XDIST_WORKER", sys.executable, "-m", "benchmarks.micro", *words],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
    )


def store(desk: Path, **ratios: float) -> None:
    named = {f"two.py::test_{name}": ratio for name, ratio in ratios.items()}
    write_baseline(Baseline(named), desk / "benchmarks" / "baseline.json")


def test_a_run_fails_where_something_is_worse_and_shows_it(desk: Path) -> None:
    store(desk, a=1e-9, b=1e9)
    ended = run(desk)
    assert ended.returncode == 1, ended.stderr
    lines = [line.split() for line in ended.stdout.splitlines() if line.startswith("two.py")]
    assert [(line[0][-1], line[1], line[-1]) for line in lines] == [
        ("a", "1e-09", "WORSE"),
        ("b", "1,000,000,000", "better"),
        ("a", "1e-09", "WORSE"),  # on a second look as well
    ]


def test_a_run_fails_where_a_benchmark_is_gone_but_not_where_a_part_was_asked_for(
    desk: Path,
) -> None:
    store(desk, a=1e9, b=1e9, c=1.0)
    assert run(desk).returncode == 1
    ended = run(desk, "-k", "test_a")
    assert (ended.returncode, "1 benchmarks, 0 worse or gone" in ended.stdout) == (0, True)


def test_an_update_stores_what_was_measured_and_keeps_what_was_not(desk: Path) -> None:
    path = desk / "benchmarks" / "baseline.json"
    store(desk, a=1e-9, c=1.0)
    assert run(desk, "--update", "-k", "test_a").returncode == 0
    partly = json.loads(path.read_bytes())["ratios"]
    assert partly["two.py::test_c"] == 1.0
    assert partly["two.py::test_a"] > 1e-9
    assert run(desk, "--update").returncode == 0
    assert set(json.loads(path.read_bytes())["ratios"]) == {"two.py::test_a", "two.py::test_b"}


def test_an_update_stores_nothing_of_a_run_that_failed(desk: Path) -> None:
    broken = "def test_c(paired):\n    assert paired(int) == 1\n"
    (desk / "benchmarks" / "micro" / "test_three.py").write_text(broken)
    assert run(desk, "--update").returncode == 1
    assert not (desk / "benchmarks" / "baseline.json").exists()
