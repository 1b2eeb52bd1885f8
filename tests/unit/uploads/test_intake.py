"""Bodies that do not arrive: a socket that cannot be lent, no room, an upload that is lost."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any, cast

import pytest

from fileloft_fast.errors import OverloadedError, UploadLockedError
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.model import Offset, RequestHead, UploadId
from fileloft_fast.tus.effects import Append
from fileloft_fast.uploads.intake import Intake
from fileloft_fast.uploads.locks import Hold, Locks
from tests.unit.sides import LendingSide, Side

if TYPE_CHECKING:
    from fileloft_fast.stores import AnyStore, Found

ID = UploadId("a")
FAILURES = (
    (OSError(errno.ENOSPC, "no more watches"), OverloadedError),
    (OSError(errno.EAGAIN, "no more threads"), OverloadedError),
    (MemoryError(), MemoryError),
    (RuntimeError("the engine is closed"), RuntimeError),
)


class Refusing:
    """An appender, and the store that opens it, whose engine starts no transfer."""

    def __init__(self, failure: Exception) -> None:
        self.received = 0
        self.kept = False
        self._failure = failure

    async def open(self, *_: object, **__: object) -> Refusing:
        return self

    def receive(self, *_: object, **__: object) -> Any:
        raise self._failure

    async def keep(self) -> None:
        self.kept = True


@pytest.mark.parametrize(("failure", "told"), FAILURES, ids=repr)
def test_a_transfer_that_does_not_start_gives_the_socket_back(
    failure: Exception, told: type[Exception]
) -> None:
    async def scene() -> None:
        side, store = LendingSide(), Refusing(failure)
        head = RequestHead("PATCH", "/files/a", {}, content_length=10)
        body = RequestBody(side, asyncio.get_running_loop(), head)
        intake = Intake(store=cast("AnyStore", store), algorithms={}, idle_ms=1, min_rate=0)
        wanted = Append(ID, Offset(0), None, 10)
        async with Locks(1).hold(ID, body) as hold:
            with pytest.raises(told):
                await intake.bring(cast("Found", None), wanted, body, 10, hold)
            assert hold.transfer is None
        assert store.kept
        with pytest.raises(OSError) as closed:
            os.fstat(side.lent)
        assert closed.value.errno == errno.EBADF
        body.cut()  # as connection_lost does

    asyncio.run(scene())


class Full:
    """An appender that has no room, and the store that opens it."""

    def __init__(self) -> None:
        self.received = 0
        self.waiting = asyncio.Event()
        self.ends: list[str] = []
        self._cancelled = asyncio.Event()

    async def open(self, *_: object, **__: object) -> Full:
        return self

    async def append(self, *_: object) -> None:
        self.ends.append("append")

    async def write(self, _: bytes) -> None:
        self.waiting.set()
        await self._cancelled.wait()
        raise UploadLockedError("a newer request took the upload over")

    def cancel(self) -> None:
        self._cancelled.set()

    async def keep(self) -> None:
        self.ends.append("keep")

    async def commit(self) -> None:
        self.ends.append("commit")


class LostHold(Hold):
    """What another replica may have by now."""

    __slots__ = ()

    @property
    def lost(self) -> bool:
        return True


def chunked_body() -> RequestBody:
    """Return a body in chunks, of which the whole has arrived but nothing was taken."""
    head = RequestHead("PATCH", "/files/a", {}, content_length=None, chunked=True)
    body = RequestBody(Side(), asyncio.get_running_loop(), head)
    body.feed(b"5\r\nhello\r\n")
    return body


APPEND = Append(ID, Offset(0), None, None)


@pytest.mark.parametrize("arrived", [True, False])
def test_a_newcomer_ends_the_wait_for_room(*, arrived: bool) -> None:
    async def scene() -> None:
        store, body, locks = Full(), chunked_body(), Locks(1)
        intake = Intake(store=cast("AnyStore", store), algorithms={}, idle_ms=1, min_rate=0)

        async def bring() -> None:
            async with locks.hold(ID, body) as hold:
                await intake.bring(cast("Found", None), APPEND, body, 10, hold)

        bringing = asyncio.create_task(bring())
        await store.waiting.wait()
        if arrived:
            body.feed(b"0\r\n\r\n")
            body.cut()  # the client has closed its side: it waits for its answer
        async with locks.hold(ID):
            assert store.ends == ["keep"]
        with pytest.raises(UploadLockedError):
            await bringing

    asyncio.run(scene())


def test_nothing_is_stored_once_somebody_was_told_of_the_upload() -> None:
    async def scene() -> None:
        store, body, locks = Full(), chunked_body(), Locks(1)
        intake = Intake(store=cast("AnyStore", store), algorithms={}, idle_ms=1, min_rate=0)

        async def bring() -> None:
            async with locks.hold(ID, body) as hold:
                await intake.bring(cast("Found", None), APPEND, body, 10, hold)

        bringing = asyncio.create_task(bring())
        await store.waiting.wait()
        holder = locks.holder(ID)
        assert holder is not None
        await holder.settle()
        assert store.ends == ["keep"]
        with pytest.raises(UploadLockedError):
            await bringing

    asyncio.run(scene())


def test_a_client_that_closes_its_side_waits_on() -> None:
    async def scene() -> None:
        body, stops = chunked_body(), list[int]()
        body.feed(b"0\r\n\r\n")
        body.watch(lambda: stops.append(1))
        body.cut()
        assert stops == []
        assert body.at_hand

    asyncio.run(scene())


@pytest.mark.parametrize("at_hand", [True, False])
def test_nothing_is_committed_once_the_upload_is_lost(*, at_hand: bool) -> None:
    async def scene() -> None:
        store, body = Full(), chunked_body()
        body.take()
        if at_hand:
            body.feed(b"0\r\n\r\n")
        else:
            asyncio.get_running_loop().call_soon(body.feed, b"0\r\n\r\n")
        intake = Intake(store=cast("AnyStore", store), algorithms={}, idle_ms=1, min_rate=0)
        hold = LostHold(Locks(1), ID, body)
        with pytest.raises(UploadLockedError):
            await intake.bring(cast("Found", None), APPEND, body, 10, hold)
        assert store.ends == ([] if at_hand else ["keep"])

    asyncio.run(scene())
