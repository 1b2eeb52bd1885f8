"""The lock of an upload: one holder, handed over on demand, never stale."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest

from fileloft_fast.errors import ShuttingDownError, UploadLockedError
from fileloft_fast.model import Body, UploadId
from fileloft_fast.uploads import settling
from fileloft_fast.uploads.locks import Locks

ID = UploadId("a")


class Interruptible:
    """A body that only knows that it was interrupted."""

    abandoned = False
    pending = False

    def __init__(self) -> None:
        self.interrupted = asyncio.Event()
        self.error: Exception | None = None
        self.received = 0

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


def test_a_holder_whose_client_is_gone_is_ended_before_anybody_is_told_the_offset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its bytes would be stored after that, and the request that comes for the offset refused."""
    monkeypatch.setattr(settling, "_WAIT_S", 0.01)

    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        body.abandoned = True
        async with locks.hold(ID, body.as_body):
            look = asyncio.create_task(locks.settle(ID))
            await body.interrupted.wait()
            assert isinstance(body.error, UploadLockedError)
            await asyncio.wait([look], timeout=0.05)  # its bytes are still being stored
            assert not look.done()
        await look

    asyncio.run(scene())


def test_a_client_that_is_gone_while_a_look_waits_for_a_quiet_moment_is_waited_for() -> None:
    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        async with locks.hold(ID, body.as_body):
            look = asyncio.create_task(locks.settle(ID))
            await asyncio.sleep(0)  # it saw that the client was there
            body.abandoned = True
            await body.interrupted.wait()
            assert not look.done()
        await look

    asyncio.run(scene())


def test_a_look_is_423_while_a_holder_that_was_ended_is_not_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "_WAIT_S", 0.01)

    async def scene() -> None:
        locks, body = Locks(0.01), Interruptible()
        body.abandoned = True
        async with locks.hold(ID, body.as_body):
            with pytest.raises(UploadLockedError):
                await locks.settle(ID)
        await locks.settle(ID)

    asyncio.run(scene())


@pytest.mark.parametrize("limit", ["_FLOW_S", "_QUEUED_BYTES"])
def test_a_live_client_whose_bytes_flow_is_waited_for_in_bounds_and_not_disturbed(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Also where each of them is being stored when somebody looks."""
    monkeypatch.setattr(settling, "_WAIT_S", 3600)
    for name in ("_FLOW_S", "_QUEUED_BYTES"):
        monkeypatch.setattr(settling, name, 0.1 if name == limit else 1e9)

    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        async with locks.hold(ID, body.as_body) as hold:
            hold.writing = True
            look = asyncio.create_task(locks.settle(ID))
            while not look.done():
                body.received += 1
                await asyncio.sleep(0)
            await look
            assert not body.interrupted.is_set()

    asyncio.run(scene())


def test_what_the_kernels_still_hold_of_a_dead_connection_is_waited_for_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before it, such a connection looks like one that goes on, for longer than a look waits."""
    monkeypatch.setattr(settling, "_WAIT_S", 0.05)

    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        async with locks.hold(ID, body.as_body):
            look = asyncio.create_task(locks.settle(ID))
            while asyncio.get_running_loop().time() < began + 0.2:
                body.received += 1
                await asyncio.sleep(0)
            assert not look.done()
            body.abandoned = True
            await body.interrupted.wait()
            assert not look.done()
        await look

    began = time.monotonic()
    asyncio.run(scene())


def test_a_moment_is_not_quiet_before_somebody_has_read_what_the_socket_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy machine lets it pass between two turns of the loop, and a longer wait as well."""
    monkeypatch.setattr(settling, "_WAIT_S", 0.01)
    monkeypatch.setattr(settling, "_FLOW_S", 3600)

    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        body.pending = True
        async with locks.hold(ID, body.as_body):
            look = asyncio.create_task(locks.settle(ID))
            await asyncio.wait([look], timeout=0.1)
            assert not look.done()
            body.received += 1
            body.pending = False
            await look
            assert not body.interrupted.is_set()

    asyncio.run(scene())


def test_what_nobody_reads_keeps_no_look_waiting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WAIT_S", 0.01)
    monkeypatch.setattr(settling, "_FLOW_S", 0.05)

    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        body.pending = True
        async with locks.hold(ID, body.as_body):
            await locks.settle(ID)
            assert not body.interrupted.is_set()

    asyncio.run(scene())


def test_a_live_client_that_stalls_keeps_no_look_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WAIT_S", 3600)

    async def scene() -> None:
        locks, body = Locks(20), Interruptible()
        async with locks.hold(ID, body.as_body):
            await locks.settle(ID)
            assert not body.interrupted.is_set()

    asyncio.run(scene())
