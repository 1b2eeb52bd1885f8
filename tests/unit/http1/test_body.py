"""A request's body: who is late, and what a socket that was lent leaves behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from fileloft_fast.errors import BodyTimeoutError
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.http1.limits import TINY_CHUNKS
from fileloft_fast.model import RequestHead
from tests.unit.sides import LendingSide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT_S = 60.0
MIN_RATE = 64


class Clock:
    """The loop's clock as a body asks it, set by the test."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 1000.0
        self.create_future = loop.create_future

    def time(self) -> float:
        return self.now


class Late:
    """A body of 1 MB whose client and disk take the time that the test says."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock = Clock(loop)
        head = RequestHead("PATCH", "/files/a", {}, content_length=1_000_000)
        self.body = RequestBody(LendingSide(), cast("asyncio.AbstractEventLoop", self.clock), head)

    async def read(self, size: int, after_s: float) -> None:
        """Read what the client sends after so long; the site looks before it comes."""
        reading = asyncio.create_task(self.body.read())
        await asyncio.sleep(0)
        self.check()
        self.clock.now += after_s
        self.check()
        if self.body.error is None:
            self.body.feed(b"x" * size)
        await reading

    def check(self) -> None:
        self.body.check(self.clock.now, TIMEOUT_S, MIN_RATE)


def run(scene: Callable[[Late], Awaitable[None]]) -> None:
    async def within() -> None:
        await scene(Late())

    asyncio.run(within())


def test_the_time_that_the_disk_takes_is_not_the_client_s() -> None:
    async def scene(late: Late) -> None:
        await late.read(1000, 1.0)
        for _ in range(5):
            late.clock.now += 3 * TIMEOUT_S  # the disk hangs
            await late.read(1000, 0.1)
        assert late.body.error is None

    run(scene)


def test_a_client_that_only_meets_each_deadline_is_too_slow() -> None:
    async def scene(late: Late) -> None:
        await late.read(1, TIMEOUT_S - 1)
        assert late.body.error is None
        with pytest.raises(BodyTimeoutError):
            await late.read(1, 2.0)

    run(scene)


def test_a_client_that_says_nothing_is_too_slow() -> None:
    async def scene(late: Late) -> None:
        await late.read(100_000, 1.0)
        with pytest.raises(BodyTimeoutError):
            await late.read(1, TIMEOUT_S)

    run(scene)


def test_a_client_at_a_fair_rate_is_waited_for_in_every_window() -> None:
    async def scene(late: Late) -> None:
        for _ in range(50):
            await late.read(MIN_RATE * 20, 10.0)
        assert late.body.error is None

    run(scene)


def test_many_tiny_chunks_in_one_read_are_noticed_and_forgotten() -> None:
    async def scene(_: Late) -> None:
        head = RequestHead("PATCH", "/files/a", {}, content_length=None, chunked=True)
        body = RequestBody(LendingSide(), asyncio.get_running_loop(), head)
        body.feed(b"1\r\nx\r\n" * (TINY_CHUNKS + 1))
        assert body.tiny
        body.feed(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        assert not body.tiny

    run(scene)


class Readable(LendingSide):
    """A connection whose socket has bytes."""

    def is_readable(self) -> bool:
        return True


def test_bytes_are_pending_until_they_are_handed_out_or_are_of_the_next_request() -> None:
    async def scene() -> None:
        head = RequestHead("PATCH", "/files/a", {}, content_length=5)
        body = RequestBody(LendingSide(), asyncio.get_running_loop(), head)
        seen = [body.pending]
        body.feed(b"abc")
        seen.append(body.pending)
        body.take()
        seen.append(body.pending)
        assert seen == [False, True, False]
        waiting = RequestBody(Readable(), asyncio.get_running_loop(), head)
        seen = [waiting.pending]
        waiting.feed(b"abcde")
        waiting.take()
        seen.append(waiting.pending)  # what the socket has is of another request now
        assert seen == [True, False]

    asyncio.run(scene())
