"""What those hear who wait for an upload to be stored, or for room."""

from __future__ import annotations

import asyncio

import pytest

from fileloft_fast.errors import (
    NotStoredError,
    RemoteUnavailableError,
    ShuttingDownError,
    UploadNotFoundError,
)
from fileloft_fast.flush.spool_room import SpoolLimits
from tests.stores.spooled import hurry, until
from tests.unit.flush.carting import PART, Yard, play, turns


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def test_who_waits_while_nothing_moves_is_told_so() -> None:
    async def scene() -> None:
        yard = Yard(patience_s=0.02)
        shipment = yard.add("a", 10, begun=False)
        failure = RemoteUnavailableError("503")
        shipment.failure = failure
        with pytest.raises(NotStoredError) as told:
            await yard.flusher.stored(shipment)
        assert told.value.__cause__ is failure
        assert not shipment.waiters
        await yard.flusher.stop()

    play(scene())


def test_who_waits_is_patient_while_parts_leave() -> None:
    async def scene() -> None:
        yard = Yard(at_once=1, patience_s=0.2)
        shipment = yard.add("a", 6 * PART)
        waiting = asyncio.ensure_future(yard.flusher.stored(shipment))
        for _ in range(6):
            await asyncio.sleep(0.08)
            yard.cart.let()
        assert not waiting.done()
        yard.cart.release()
        await waiting
        await yard.flusher.stop()

    play(scene())


def test_who_waits_is_patient_while_bytes_leave_and_none_comes_back() -> None:
    async def scene() -> None:
        yard = Yard(at_once=1, patience_s=0.1)
        sent = iter(range(1000))
        yard.flusher._taken = lambda: next(sent)
        first, second = yard.add("a", PART, begun=False), yard.add("b", PART, begun=False)
        waiting = [asyncio.ensure_future(yard.flusher.stored(one)) for one in (first, second)]
        await asyncio.sleep(0.35)
        assert not any(waiter.done() for waiter in waiting)
        second.failure = RemoteUnavailableError("503")  # what it sends is refused
        with pytest.raises(NotStoredError):
            await waiting[1]
        assert not waiting[0].done()
        yard.flusher._taken = lambda: 0
        with pytest.raises(NotStoredError):
            await waiting[0]
        await yard.flusher.stop()

    play(scene())


def test_who_waits_hears_that_an_upload_is_gone() -> None:
    async def scene() -> None:
        yard = Yard()
        shipment = yard.add("a", 10, begun=False)
        waiting = asyncio.ensure_future(yard.flusher.stored(shipment))
        await turns()
        await yard.flusher.halt(shipment)
        yard.flusher.forget(shipment)
        with pytest.raises(UploadNotFoundError):
            await waiting
        assert yard.flusher.shipments == {}

    play(scene())


def test_stopping_ends_everything_and_tells_those_who_wait() -> None:
    async def scene() -> None:
        yard = Yard()
        first, second = yard.add("a", 2 * PART), yard.add("b", 10, begun=False)
        waiting = asyncio.ensure_future(yard.flusher.stored(second))
        await turns()
        await yard.flusher.stop()
        with pytest.raises(ShuttingDownError):
            await waiting
        assert not first.tasks
        yard.flusher.wake(first)
        await turns()
        assert len(yard.cart.carried) == 3

    play(scene())


def test_room_for_more_is_waited_for_but_not_for_ever() -> None:
    async def scene() -> None:
        yard = Yard(patience_s=0.02)
        yard.flusher.room.limits = SpoolLimits(parts_each=3)
        shipment = yard.add("a", 3 * PART, length=9 * PART)
        with pytest.raises(NotStoredError):
            await yard.flusher.room_for(shipment)
        yard.cart.release()
        await until(lambda: not shipment.backlog)
        await yard.flusher.room_for(shipment)
        await yard.flusher.stop()

    play(scene())
