"""Every benchmark here is divided by its yardstick and compared with ``benchmarks/baseline.json``.

``@pytest.mark.yardstick(NAME)`` names another one than "python".
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
import uvloop

from benchmarks.baseline import Verdict, judge, read_baseline, render_table
from benchmarks.micro.paired import Paired
from benchmarks.micro.yardsticks import MEMORY, YARDSTICKS
from fileloft_fast.dataplane import Engine

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

MEASURED: Final = pytest.StashKey[dict[str, float]]()
VERDICTS: Final = pytest.StashKey[list[Verdict]]()
WHOLE: Final = pytest.StashKey[bool]()
"""Whether every benchmark was asked for: what is not measured then is gone."""

_TOLERANCES: Final = pytest.StashKey[dict[str, float]]()
_HERE: Final = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing measured."""
    config.addinivalue_line("markers", "yardstick(name): what a benchmark's time is divided by")
    config.stash[MEASURED] = {}
    config.stash[_TOLERANCES] = {}
    config.stash[WHOLE] = True


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Take note that a part was asked for: what is not measured then is not gone."""
    items[0].config.stash[WHOLE] = False


@pytest.fixture
def paired(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> Iterator[Paired]:
    """Return what measures beside a yardstick, and keep the ratio."""
    marker = request.node.get_closest_marker("yardstick")
    yardstick = YARDSTICKS[marker.args[0] if marker is not None else "python"]
    paired = Paired(benchmark, yardstick)
    yield paired
    if paired.ratio is not None:
        name = request.node.nodeid.removeprefix("benchmarks/micro/test_")
        request.config.stash[MEASURED][name] = paired.ratio
        request.config.stash[_TOLERANCES][name] = yardstick.tolerance


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare, and let the run fail where something has become worse."""
    config = session.config
    measured, tolerances = config.stash[MEASURED], config.stash[_TOLERANCES]
    config.stash[WHOLE] &= any(Path(arg) == _HERE for arg in config.args)
    before = {
        name: ratio
        for name, ratio in read_baseline().ratios.items()
        if config.stash[WHOLE] or name in measured
    }
    verdicts = judge(before, measured, lambda name: tolerances.get(name, 0.0))
    config.stash[VERDICTS] = verdicts
    if not session.exitstatus and any(verdict.bad for verdict in verdicts):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table."""
    verdicts = config.stash[VERDICTS]
    bad = sum(verdict.bad for verdict in verdicts)
    terminalreporter.section("times as multiples of their yardsticks")
    terminalreporter.write_line(render_table(verdicts))
    terminalreporter.write_line(f"\n{len(verdicts)} benchmarks, {bad} worse or gone")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a new directory in memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as path:
        yield Path(path)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Return a loop that does not run."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.get_loop()


@pytest.fixture
def engine(loop: asyncio.AbstractEventLoop) -> Iterator[Engine]:
    """Return an engine on *loop*."""
    engine = Engine(loop)
    yield engine
    engine.close()
