"""The lock of an upload: one holder, handed over on demand, never stale."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from fileloft_fast.errors import ShuttingDownError, UploadLockedError
from fileloft_fast.model import Body, UploadId
from fileloft_fast.uploads.locks import Locks

ID = UploadId("a")


class Interruptible:
    """A body that only knows that it was interrupted."""

    def __init__(self) -> None:
        self.interrupted = asyncio.Event()
        self.error: Exception | None = None

    def interrupt(self, error: Exception) -> None:
        self.error = error
        self.interrupted.set()

    @property
    def as_body(self) -> Body:
        return cast("Body", self)


def test_a_newcomer_asks_the_holder_to_stop_and_goes_on() -> None:
    async def scene() -> list[str]:
        locks, body, order = Locks(5), Interruptible(), []

        async def holder() -> None:
            async with locks.hold(ID, body.as_body):
                order.append("held")
                await body.interrupted.wait()
                order.append("let go")

        task = asyncio.create_task(holder())
        await asyncio.sleep(0)
        async with locks.hold(ID):
            order.append("taken over")
        await task
        assert isinstance(body.error, UploadLockedError)
        assert not locks.queues
        return order

    assert asyncio.run(scene()) == ["held", "let go", "taken over"]


def test_who_gets_the_lock_while_another_waits_is_asked_at_once() -> None:
    async def scene() -> None:
        locks, second = Locks(5), Interruptible()
        got: list[str] = []

        async def claim(name: str, body: Interruptible | None) -> None:
            async with locks.hold(ID, None if body is None else body.as_body):
                got.append(name)
                if body is not None:
                    await body.interrupted.wait()

        async with locks.hold(ID):
            tasks = [
                asyncio.create_task(claim("second", second)),
                asyncio.create_task(claim("third", None)),
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert got == ["second", "third"]

    asyncio.run(scene())


def test_a_holder_that_does_not_let_go_is_423_for_the_newcomer_and_nothing_stays_behind() -> None:
    async def scene() -> None:
        locks = Locks(0.01)
        async with locks.hold(ID):
            with pytest.raises(UploadLockedError):
                async with locks.hold(ID):
                    pass
            assert len(locks.queues[ID]) == 1
        assert not locks.queues

    asyncio.run(scene())


def test_a_newcomer_that_gives_up_does_not_block_the_next() -> None:
    async def scene() -> None:
        locks = Locks(5)
        async with locks.hold(ID):
            claim = locks.hold(ID)
            waiting = asyncio.create_task(claim.__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        async with locks.hold(ID):
            pass
        assert not locks.queues

    asyncio.run(scene())


def test_a_server_that_stops_keeps_nobody_waiting() -> None:
    async def scene() -> None:
        locks = Locks(5)
        async with locks.hold(ID):
            waiting = asyncio.create_task(locks.hold(ID).__aenter__())
            await asyncio.sleep(0)
            locks.drain(ShuttingDownError("stopping"))
            with pytest.raises(ShuttingDownError):
                await waiting
        assert not locks.queues

    asyncio.run(scene())


def test_uploads_do_not_wait_for_one_another() -> None:
    async def scene() -> None:
        locks = Locks(0)
        async with locks.hold(ID), locks.hold(UploadId("b")):
            assert locks.holder(ID) is not locks.holder(UploadId("b"))

    asyncio.run(scene())
