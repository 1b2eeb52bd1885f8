"""Bytes a second, on a clock that only the test moves."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from typing import Any

import pytest

from fileloft_fast.flush.rate import Rate


class Clock:
    """Time that stands still until ``run`` has nothing else to do."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._serial = 0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self._serial += 1
        waking = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._serial, waking))
        await waking

    async def settle(self) -> None:
        """Let every task go on that can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def run_until(self, end: float) -> None:
        """Move on to *end*, waking who sleeps on the way."""
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.now, _, waking = heapq.heappop(self._sleepers)
            if not waking.done():
                waking.set_result(None)
            await self.settle()
        self.now = end

    def rate(self, bytes_per_s: int) -> Rate:
        return Rate(bytes_per_s, clock=self.time, sleep=self.sleep)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_no_limit_costs_no_turn_of_the_loop() -> None:
    async def never(_seconds: float) -> None:
        raise AssertionError("slept")

    rate = Rate(0, sleep=never)
    taking = rate.take(10**12)
    with pytest.raises(StopIteration):
        taking.send(None)  # done at once, without a loop


def test_over_a_long_time_the_rate_is_kept_and_used() -> None:
    async def scene() -> None:
        clock = Clock()
        rate, sent = clock.rate(1000), 0

        async def send() -> None:
            nonlocal sent
            while True:
                await rate.take(70)
                sent += 70

        task = asyncio.create_task(send())
        await clock.run_until(1100.0)
        task.cancel()
        assert 100_000 <= sent <= 100_000 + 250 + 70  # the credit, and one piece ahead

    run(scene())


def test_bytes_larger_than_the_bucket_are_paid_for_by_the_next() -> None:
    async def scene() -> None:
        clock = Clock()
        rate = clock.rate(100)
        await rate.take(1000)
        second = asyncio.create_task(rate.take(1))
        await clock.run_until(1009.7)
        assert not second.done()
        await clock.run_until(1009.8)
        assert second.done()

    run(scene())


def test_a_long_pause_earns_no_more_than_a_short_one() -> None:
    async def scene() -> None:
        clock = Clock()
        rate = clock.rate(100)
        await rate.take(100)
        await clock.run_until(2000.0)
        await rate.take(25)
        await rate.take(1)
        assert not await takes_at_once(clock, rate)

    run(scene())


async def takes_at_once(clock: Clock, rate: Rate) -> bool:
    task = asyncio.create_task(rate.take(1))
    await clock.settle()
    done = task.done()
    task.cancel()
    return done


def test_who_asks_first_is_served_first_however_much_he_asks_for() -> None:
    async def scene() -> None:
        clock = Clock()
        rate, order = clock.rate(100), []

        async def take(name: str, size: int) -> None:
            await rate.take(size)
            order.append((name, round(clock.now)))

        await rate.take(125)  # a second's worth beyond the credit
        tasks = [
            asyncio.create_task(take(name, size))
            for name, size in [("large", 500), ("small", 1), ("middle", 99), ("last", 1)]
        ]
        await clock.run_until(1100.0)
        await asyncio.gather(*tasks)
        assert order == [("large", 1001), ("small", 1006), ("middle", 1006), ("last", 1007)]

    run(scene())


def test_a_newcomer_does_not_slip_in_before_one_whose_sleep_is_just_over() -> None:
    async def scene() -> None:
        clock = Clock()
        rate = clock.rate(100)
        await rate.take(125)
        first = asyncio.create_task(rate.take(1))
        await clock.settle()
        clock.now = 1001.0  # it is time, but the timer has not run yet
        assert not await takes_at_once(clock, rate)
        await clock.run_until(1001.0)
        assert first.done()

    run(scene())


def test_a_cancelled_wait_has_taken_nothing_and_holds_nobody_up() -> None:
    async def scene() -> None:
        clock = Clock()
        rate = clock.rate(100)
        await rate.take(125)
        first = asyncio.create_task(rate.take(10_000))
        second = asyncio.create_task(rate.take(1))
        await clock.run_until(1000.5)
        first.cancel()
        await clock.run_until(1001.0)
        assert first.cancelled()
        assert second.done()

    run(scene())


def test_a_sleep_that_ends_early_is_no_leave_to_send() -> None:
    async def scene() -> None:
        clock = Clock()
        asked: list[float] = []

        async def short(seconds: float) -> None:
            asked.append(seconds)
            clock.now += seconds / 2 if len(asked) < 3 else seconds

        rate = Rate(100, clock=clock.time, sleep=short)
        await rate.take(125)
        await rate.take(1)
        assert clock.now == pytest.approx(1001.0)
        assert len(asked) == 3

    run(scene())


def test_the_loop_s_clock_is_the_default() -> None:
    async def scene() -> None:
        rate = Rate(1_000_000)
        loop = asyncio.get_running_loop()
        start = loop.time()
        for _ in range(4):
            await rate.take(100_000)
        assert loop.time() - start >= 0.04  # 0.3 s of bytes, 0.25 s of credit

    run(scene())
