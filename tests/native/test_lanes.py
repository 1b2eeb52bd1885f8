from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fileloft_fast.dataplane import SYNC_DATA, Digest, Engine, digest_of
from tests.native.yard import Yard, body, engine_threads

if TYPE_CHECKING:
    from asyncio import Future


def threads(name: str) -> int:
    """Return how many threads of that name there are."""
    return [status["Name"] for status in engine_threads()].count(name)


@asynccontextmanager
async def blocked_thread(yard: Yard) -> AsyncIterator[Future[tuple[int, int]]]:
    """Let one quick thread wait all the time: a FIFO opens only when somebody writes."""
    os.mkfifo(yard.root / "fifo")
    blocked = yard.engine.open(yard.directory, b"fifo", os.O_RDONLY)
    try:
        yield blocked
        assert not blocked.done()
    finally:
        os.close(os.open(yard.root / "fifo", os.O_WRONLY))
        descriptor, _ = await blocked
        os.close(descriptor)


async def test_one_quick_thread_does_the_work_while_the_queue_is_short(yard: Yard) -> None:
    found = []
    for _ in range(20):
        engine = Engine(yard.loop)
        await asyncio.gather(*(engine.free_space(yard.directory) for _ in range(32)))
        found.append(threads("fl-quick"))
        engine.close()
        await yard.until(lambda: not threads("fl-quick"))
    # A thread that the machine holds up for long gets help, so not every one of them.
    assert found.count(1) > 10


async def test_a_deep_queue_does_not_wait_for_a_thread_that_is_blocked(yard: Yard) -> None:
    async with blocked_thread(yard):
        await asyncio.gather(*(yard.engine.free_space(yard.directory) for _ in range(200)))


async def test_no_job_waits_for_a_thread_that_is_blocked(yard: Yard) -> None:
    async with blocked_thread(yard):
        for _ in range(10):
            await yard.engine.free_space(yard.directory)


async def test_large_writes_share_the_threads(yard: Yard) -> None:
    data = body(1 << 18)
    running = [Digest("sha1"), Digest("sha1")]
    files = [yard.file("0"), yard.file("1")]
    async with blocked_thread(yard):
        await asyncio.gather(*(yard.engine.write(files[n], data, 0, running[n]) for n in range(2)))
    assert {digest.digest() for digest in running} == {digest_of("sha1", data)}


async def test_a_sync_job_wakes_a_thread_of_its_own(yard: Yard) -> None:
    os.mkfifo(yard.root / "fifo")
    blocked = [
        yard.engine.append(yard.directory, b"fifo", b"", 0, SYNC_DATA) for _ in range(3)
    ]  # until somebody reads
    assert await yard.engine.remove(yard.directory, [b"missing"]) == 0
    assert threads("fl-sync") == 4
    assert not any(job.done() for job in blocked)
    reader = os.open(yard.root / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    for outcome in await asyncio.gather(*blocked, return_exceptions=True):
        assert isinstance(outcome, OSError)
        assert outcome.errno == errno.EINVAL  # a FIFO has no sync
    os.close(reader)


async def test_no_wake_up_is_lost_between_bursts(yard: Yard) -> None:
    source = random.Random(0)
    for _ in range(1000):
        burst = source.choice((1, 1, 2, 3, 63, 64, 65, 130))
        await asyncio.gather(*(yard.engine.free_space(yard.directory) for _ in range(burst)))
