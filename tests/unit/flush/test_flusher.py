"""Whose turn it is, and what failures do to it."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

import fileloft_fast.flush.flusher
import fileloft_fast.flush.outage
from fileloft_fast.errors import (
    RemoteRefusedError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.flush.shipment import PutPart, PutWhole
from tests.stores.spooled import hurry, until
from tests.unit.flush.carting import PART, Yard, play, turns


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


class Slow:
    """Waits that nobody sits out."""

    def next_s(self) -> float:
        return 3600.0


def probe(yard: Yard) -> None:
    """Let the time until the next probe be over."""
    outage = yard.flusher._outage
    assert outage._timer is not None
    outage._timer.cancel()
    outage._on_due()


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
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", Slow)

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
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", Slow)
    monkeypatch.setattr(fileloft_fast.flush.outage, "_PROBE_S", 0.01)

    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        resting = [yard.add(f"{number}", 10, begun=False) for number in range(8)]
        await turns()
        assert all(shipment.resting for shipment in resting)
        yard.cart.error = None
        yard.add("c", 10, begun=False)
        await until(lambda: not yard.flusher.shipments)

    play(scene())


def test_one_probe_at_a_time_goes_to_a_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", Slow)
    monkeypatch.setattr(fileloft_fast.flush.outage, "_PROBE_S", 3600.0)

    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        for number in range(8):
            yard.add(f"{number}", 10, begun=False)
        await turns()
        yard.cart.held = True
        for number in range(20):
            yard.add(f"more {number}", 10, begun=False)
            yard.add(f"large {number}", PART, begun=False)
        await turns()
        assert len(yard.cart.carried) == 8
        probe(yard)
        await turns()
        assert len(yard.cart.carried) == 9
        yard.cart.let()  # fails as the others did
        await turns()
        assert len(yard.cart.carried) == 9
        probe(yard)
        await turns()
        assert len(yard.cart.carried) == 10
        yard.cart.error = None
        yard.cart.release()
        await until(lambda: not yard.flusher.shipments)

    play(scene())


def test_a_local_failure_does_not_keep_a_store_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", Slow)
    monkeypatch.setattr(fileloft_fast.flush.outage, "_PROBE_S", 0.01)

    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        for number in range(8):
            yard.add(f"{number}", 10, begun=False)
        await turns()
        broken = yard.add("broken", 10, begun=False)
        yard.add("large", PART, begun=False)
        yard.cart.held = True
        await until(lambda: yard.cart.flying)
        yard.cart.error = StoreError("the disk failed")
        yard.cart.let()
        await turns()
        assert broken.resting
        yard.cart.error = None
        yard.cart.release()
        await until(lambda: not yard.flusher.shipments)
        await yard.flusher.stop()

    play(scene())


def test_one_upload_that_is_refused_holds_nobody_else_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileloft_fast.flush.outage, "_PROBE_S", 3600.0)

    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteRefusedError("400")
        yard.add("refused", 10, begun=False)
        await until(lambda: len(yard.cart.carried) > 20)
        yard.cart.error = None
        yard.add("sound", 10, begun=False)
        await until(lambda: not yard.flusher.shipments)

    play(scene())


def test_a_failure_that_is_remembered_keeps_nothing_else_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", Slow)

    async def scene() -> None:
        yard = Yard()
        yard.cart.held = False
        yard.cart.error = RemoteUnavailableError("503")
        yard.cart.error.__cause__ = ValueError("of a driver")
        shipment = yard.add("a", 10, begun=False)
        await until(lambda: shipment.failure)
        failure = shipment.failure
        assert failure is not None
        assert (failure.__cause__, failure.__context__, failure.__traceback__) == (None,) * 3
        await yard.flusher.stop()

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
        await until(lambda: len(caplog.records) == 2)
        assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
        await yard.flusher.stop()

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
