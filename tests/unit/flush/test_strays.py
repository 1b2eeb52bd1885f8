"""Which objects beside the uploads are deleted, and above all which are not."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.flush.record import RecordState, Tail, tail_key
from fileloft_fast.uploads.leases.documents import Document
from tests.unit.flush.tidied import HOUR, ID, KEY, OTHER, PREFIX, START, Yard


def test_a_tail_that_no_record_names_is_deleted() -> None:
    yard = Yard()
    named, left = tail_key(PREFIX, ID, START), tail_key(PREFIX, ID, START)
    gone = tail_key(PREFIX, OTHER, START)
    for key in (named, left, gone):
        yard.put(key)
    yard.record(tails=(Tail(named, 0, 1, 0),))
    assert yard.delete() == 2
    assert yard.keys == {named, KEY + ".info"}


def test_a_young_tail_may_be_about_to_be_named() -> None:
    yard = Yard()
    tail = tail_key(PREFIX, ID, START)
    yard.put(tail)
    assert yard.delete(HOUR) == 0
    assert yard.delete(1) == 1


def test_a_tail_that_was_named_meanwhile_is_left() -> None:
    yard = Yard()
    tail = tail_key(PREFIX, ID, START)
    yard.put(tail)
    yard.record()
    gate = yard.objects.faults.gate("fetch", key=".info")

    async def scene() -> int:
        tidying = asyncio.create_task(yard.orphans.delete_strays(START + 2 * HOUR))
        await gate.reached.wait()
        yard.record(tails=(Tail(tail, 0, 1, 0),))
        gate.open()
        return await tidying

    assert asyncio.run(scene()) == 0
    assert tail in yard.keys


def test_pieces_of_a_join_are_deleted_once_they_are_old() -> None:
    yard = Yard()
    piece = f"{KEY}.join-{int(START):08x}0123456789abcdef-7"
    yard.put(piece)
    assert yard.delete(HOUR) == 0
    assert yard.keys == {piece}
    assert yard.delete(1) == 1


@pytest.mark.parametrize(
    "name",
    [
        ID,
        ID + ".info",
        ID + ".tail-xyz",
        ID + ".tail-" + "0" * 23,
        ID + ".tail-" + "0" * 25,
        ID + ".join-0",
        ID + ".locked",
        "x" + ID + ".tail-" + "0" * 24,
        "notes.tail-" + "0" * 24,
        ".lock",
    ],
)
def test_other_keys_are_never_touched(name: str) -> None:
    yard = Yard()
    yard.put(PREFIX + name)
    assert [yard.delete(1000 * HOUR) for _ in range(3)] == [0, 0, 0]
    assert yard.keys == {PREFIX + name}


def test_each_record_is_read_once_however_many_tails_there_are() -> None:
    yard = Yard()
    for upload in (ID, OTHER):
        for _ in range(5):
            yard.put(tail_key(PREFIX, upload, START))
    assert yard.delete() == 10
    assert yard.objects.faults.counts["fetch"] == 2


@pytest.mark.parametrize("state", [None, RecordState.STORED])
def test_a_lease_that_nobody_writes_goes_with_its_upload(state: RecordState | None) -> None:
    yard = Yard()
    yard.put(KEY + ".lock", b"idle")
    if state is not None:
        yard.record(state=state)
    assert yard.delete() == 0  # the first look
    assert yard.delete(HOUR) == 0
    assert yard.delete(1) == 1
    assert KEY + ".lock" not in yard.keys


@pytest.mark.parametrize(
    ("held", "state", "deleted"),
    [
        (False, RecordState.STORED, 1),
        (True, RecordState.STORED, 0),
        (False, RecordState.OPEN, 0),
        (False, None, 0),
    ],
)
def test_a_released_lease_goes_at_once_where_its_upload_is_stored(
    *, held: bool, state: RecordState | None, deleted: int
) -> None:
    yard = Yard()
    lease = Document(owner="x", fence=1, ttl=10.0, nonce="n", held=held)
    yard.put(KEY + ".lock", msgspec.json.encode(lease))
    if state is not None:
        yard.record(state=state)
    assert yard.delete() == deleted


def test_a_lease_that_was_written_between_two_looks_is_left() -> None:
    yard = Yard()
    for turn in range(4):
        yard.put(KEY + ".lock", b"renewal %d" % turn)
        assert yard.delete() == 0
    assert yard.keys == {KEY + ".lock"}


def test_the_lease_of_an_open_upload_is_left_however_idle() -> None:
    yard = Yard()
    yard.put(KEY + ".lock")
    yard.record()
    assert [yard.delete(100 * HOUR) for _ in range(3)] == [0, 0, 0]


def test_a_store_that_fails_while_keys_are_listed_is_told() -> None:
    yard = Yard()
    yard.put(tail_key(PREFIX, ID, START))
    yard.objects.faults.refuse("delete")
    with pytest.raises(RemoteUnavailableError):
        yard.delete()
    assert yard.delete(0) == 1
