"""A benchmark whose every round is paired with a run of its yardstick."""

from __future__ import annotations

import statistics
import time
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.micro.yardsticks import Yardstick

P = ParamSpec("P")
T = TypeVar("T")

_ROUND_S: Final = 0.002  # long beside the clock, short beside how long a machine keeps its speed
_ROUNDS: Final = 100
_TURNS: Final = 60
_WARM_UP: Final = 5


class Paired:
    """Measures by pytest-benchmark; ``ratio`` is what came of it.

    A processor that is shared is now fast and now slow. Each round is divided by what the yardstick
    took right before it, and the median of these counts. Time is CPU time, of all threads: when
    others have the processor, none passes.
    """

    def __init__(self, benchmark: BenchmarkFixture, yardstick: Yardstick) -> None:
        self._benchmark = benchmark
        self._yardstick = yardstick
        self.ratio: float | None = None

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Measure calls of *work*, and return what the last one returned."""
        began = time.process_time()
        result = work(*args, **kwargs)
        calls = 1
        while time.process_time() - began < _ROUND_S:
            result = work(*args, **kwargs)
            calls += 1

        def call_often() -> None:
            nonlocal result
            for _ in repeat(None, calls):
                result = work(*args, **kwargs)

        self._measure(call_often, _ROUNDS, calls)
        return result

    def turns(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[int], Coroutine[Any, Any, None]],
        turns: int = _TURNS,
    ) -> int:
        """Measure *work*, which is given the number of its turn; return how many there were.

        A fixed number, since each leaves something behind: files, or bytes in one.
        """
        taken = 0

        def take() -> None:
            nonlocal taken
            loop.run_until_complete(work(taken))
            taken += 1

        self._measure(take, turns, 1)
        return taken

    def _measure(self, work: Callable[[], None], rounds: int, calls: int) -> None:
        yards: list[float] = []
        self._benchmark.pedantic(  # type: ignore[no-untyped-call]
            work,
            setup=lambda: yards.append(self._yardstick.measure()),
            rounds=rounds,
            warmup_rounds=_WARM_UP,
        )
        stats = self._benchmark.stats
        if stats is not None:  # None where nothing is to be measured
            pairs = zip(stats.stats.data, yards[-rounds:], strict=True)
            self.ratio = statistics.median(took / yard for took, yard in pairs) / calls
