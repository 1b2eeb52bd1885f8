"""Whose turn it is, what failures do to it, and what those hear who wait."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

import fileloft_fast.flush.flusher
from fileloft_fast.errors import (
    NotStoredError,
    RemoteRefusedError,
    RemoteUnavailableError,
    ShuttingDownError,
    UploadNotFoundError,
)
from fileloft_fast.flush.flusher import Flusher
from fileloft_fast.flush.shipment import Begin, PutPart, PutWhole, Settle, Shipment, Step
from fileloft_fast.flush.spool_room import SpoolLimits, SpoolRoom
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Limits, ObjectHead, Receipt
from tests.stores.spooled import hurry, until

if TYPE_CHECKING:
    from fileloft_fast.flush.carrier import Carrier

PART: Final = 1024 * 1024
LIMITS: Final = Limits(smallest_part=1, largest_part=PART, most_parts=99, largest_object=99 * PART)


class Cart:
    """A carrier that does nothing before it is told to."""

    def __init__(self) -> None:
        self.carried: list[tuple[str, Step]] = []
        self.held = True
        self.error: Exception | None = None
        self._gates: list[asyncio.Future[None]] = []

    async def carry(self, shipment: Shipment, step: Step) -> None:
        self.carried.append((shipment.upload, step))
        if self.held:
            gate = asyncio.get_running_loop().create_future()
            self._gates.append(gate)
            await gate
        if self.error is not None:
            raise self.error
        match step:
            case Begin():
                shipment.begun, shipment.session = True, "session"
            case PutPart(number, _, length):
                shipment.accept(Receipt(number, length, "tag", 0))
            case Settle():
                shipment.settled = True
            case _:
                shipment.stored = ObjectHead(key="key", size=shipment.ready, tag="tag")

    @property
    def flying(self) -> int:
        return sum(not gate.done() for gate in self._gates)

    def let(self, count: int = 1) -> None:
        """Let the first *count* of those that are held go on."""
        for gate in [gate for gate in self._gates if not gate.done()][:count]:
            gate.set_result(None)

    def release(self) -> None:
        self.held = False
        self.let(len(self._gates))


class Yard:
    def __init__(self, *, at_once: int = 4, patience_s: float = 5.0) -> None:
        self.cart = Cart()
        room = SpoolRoom(SpoolLimits(), self._free)
        self.flusher = Flusher(
            cast("Carrier", self.cart), room, parts_at_once=at_once, patience_s=patience_s
        )

    async def _free(self) -> int:
        return 0

    def add(self, name: str, size: int, *, begun: bool = True, length: int = 0) -> Shipment:
        info = UploadInfo(id=UploadId(name), offset=Offset(size), length=length or size)
        shipment = Shipment(info, name, LIMITS, lambda _: PART)
        shipment.arrive(info)
        if begun:
            shipment.restore(PART, "session")
        self.flusher.add(shipment)
        return shipment


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def play(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def test_so_many_parts_are_in_flight_and_no_more() -> None:
    async def scene() -> None:
        yard = Yard(at_once=3)
        yard.add("a", 9 * PART)
        yard.add("b", 9 * PART)
        await turns()
        assert yard.cart.flying == 3
        yard.cart.let()
        await turns()
        assert yard.cart.flying == 3
        await yard.flusher.stop()

    play(scene())


def test_one_upload_alone_has_all_the_places() -> None:
    async def scene() -> None:
        yard = Yard(at_once=4)
        yard.add("a", 9 * PART)
        await turns()
        assert [step for _, step in yard.cart.carried] == [
            PutPart(number, (number - 1) * PART, PART) for number in (1, 2, 3, 4)
        ]
        await yard.flusher.stop()

    play(scene())


def test_uploads_take_turns_a_part_each() -> None:
    async def scene() -> None:
        yard = Yard(at_once=2)
        for name in ("a", "b", "c"):
            yard.add(name, 30 * PART)
        for _ in range(22):
            await turns()
            yard.cart.let()
        names = [name for name, _ in yard.cart.carried]
        assert names[:2] == ["a", "a"]  # nobody else was there yet
        for start in range(2, 20, 3):
            assert set(names[start : start + 3]) == {"a", "b", "c"}
        await yard.flusher.stop()

    play(scene())


def test_what_is_small_does_not_wait_for_parts() -> None:
    async def scene() -> None:
        yard = Yard(at_once=1)
        yard.add("large", 9 * PART)
        await turns()
        yard.add("small", 10, begun=False)
        await turns()
        assert ("small", PutWhole(10)) in yard.cart.carried
        await yard.flusher.stop()

    play(scene())


def test_a_finished_upload_is_forgotten_and_makes_room() -> None:
    async def scene() -> None:
        yard = Yard()
        shipment = yard.add("a", 2 * PART + 5, begun=False)
        assert yard.flusher.room.backlog == 2 * PART + 5
        yard.cart.release()
        await yard.flusher.stored(shipment)
        await until(lambda: not yard.flusher.shipments)
        assert yard.flusher.room.backlog == 0
        kinds = Counter(type(step).__name__ for _, step in yard.cart.carried)
        assert kinds == {"Begin": 1, "PutPart": 3, "Complete": 1, "Settle": 1}

    play(scene())


def test_a_failure_is_tried_again_until_it_works() -> None:
    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        shipment = yard.add("a", 10, begun=False)
        await until(lambda: len(yard.cart.carried) > 5)
        yard.cart.error = None
        await yard.flusher.stored(shipment)
        await until(lambda: not yard.flusher.shipments)

    play(scene())


def test_an_upload_that_failed_rests_while_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # waits of their real length

    async def scene() -> None:
        yard = Yard(at_once=1)
        failing = yard.add("a", PART, begun=False)
        await turns()
        yard.cart.error = RemoteUnavailableError("503")
        yard.cart.let()
        await turns()
        yard.cart.error = None
        assert failing.resting
        yard.add("b", PART, begun=False)
        await turns()
        assert [name for name, _ in yard.cart.carried] == ["a", "b"]
        await yard.flusher.stop()

    play(scene())


def test_the_end_of_an_outage_wakes_those_who_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(fileloft_fast.flush.flusher, "_OUTAGE_S", 0.0)

    class Slow:
        def next_s(self) -> float:
            return 3600.0

    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", Slow)

    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        resting = [yard.add(name, 10, begun=False) for name in ("a", "b")]
        await turns()
        assert all(shipment.resting for shipment in resting)
        yard.cart.error = None
        yard.add("c", 10, begun=False)
        await until(lambda: not yard.flusher.shipments)

    play(scene())


def test_an_outage_is_logged_once_and_a_refusal_once_an_upload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        first = yard.add("a", 10, begun=False)
        yard.add("b", 10, begun=False)
        await until(lambda: len(yard.cart.carried) > 6)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        caplog.clear()
        yard.cart.error = RemoteRefusedError("403")
        await until(lambda: isinstance(first.failure, RemoteRefusedError))
        before = len(yard.cart.carried)
        await until(lambda: len(yard.cart.carried) > before + 6)
        assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
        await yard.flusher.stop()

    play(scene())


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


def test_halting_ends_what_is_in_flight_and_resuming_goes_on() -> None:
    async def scene() -> None:
        yard = Yard()
        shipment = yard.add("a", 2 * PART)
        await turns()
        await yard.flusher.halt(shipment)
        assert (shipment.tasks, shipment.taken) == (set(), set())
        yard.flusher.wake(shipment)
        await turns()
        assert len(yard.cart.carried) == 2
        yard.cart.release()
        yard.flusher.resume(shipment)
        await yard.flusher.stored(shipment)
        await until(lambda: not yard.flusher.shipments)

    play(scene())


def test_places_come_back_from_what_was_halted() -> None:
    async def scene() -> None:
        yard = Yard(at_once=2)
        first = yard.add("a", 2 * PART)
        await turns()
        yard.add("b", 2 * PART)
        await yard.flusher.halt(first)
        await turns()
        assert [name for name, _ in yard.cart.carried] == ["a", "a", "b", "b"]
        await yard.flusher.stop()

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


def test_a_bug_does_not_end_the_background(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = AssertionError("a bug")
        shipment = yard.add("a", 10, begun=False)
        await until(lambda: len(yard.cart.carried) > 2)
        assert caplog.records[0].exc_info is not None
        yard.cart.error = None
        await yard.flusher.stored(shipment)
        await yard.flusher.stop()

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
