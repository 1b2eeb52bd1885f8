"""Rounds and the yardstick beside them: a machine that changes its speed changes no ratio."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from benchmarks.micro.paired import Paired

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture

    from benchmarks.micro.yardsticks import Yardstick


class Moody:
    """pytest-benchmark and a yardstick on a machine whose every third round is ten times slower."""

    def __init__(self) -> None:
        self.speeds: list[int] = []
        self.stats: Any = SimpleNamespace(stats=SimpleNamespace(data=[]))

    def pedantic(
        self,
        work: Callable[[], None],
        *,
        setup: Callable[[], None],
        rounds: int,
        warmup_rounds: int,
    ) -> None:
        for number in range(-warmup_rounds, rounds):
            setup()
            work()
            if number >= 0:
                self.stats.stats.data.append(6.0 * self.speeds[-1])

    def measure(self) -> float:
        self.speeds.append(10 if len(self.speeds) % 3 == 0 else 1)
        return 2.0 * self.speeds[-1]


def paired() -> Paired:
    moody = Moody()
    return Paired(cast("BenchmarkFixture", moody), cast("Yardstick", moody))


def test_each_round_is_divided_by_the_yardstick_right_before_it() -> None:
    seen: list[int] = []

    async def work(turn: int) -> None:
        await asyncio.sleep(0)
        seen.append(turn)

    measured, loop = paired(), asyncio.new_event_loop()
    assert measured.turns(loop, work, 7) == len(seen)
    loop.close()
    assert measured.ratio == 3.0
    assert seen == list(range(len(seen)))  # those that warm up have turns as well


def test_a_round_is_many_calls_and_the_ratio_that_of_one() -> None:
    calls: list[str] = []

    def work(word: str) -> int:
        calls.append(word)
        return len(calls)

    measured = paired()
    assert measured(work, "once more") == len(calls)
    assert set(calls) == {"once more"}
    assert measured.ratio is not None
    assert 0 < measured.ratio < 3.0 / 100
