"""Which objects beside the uploads are deleted, and above all which are not."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
import pytest

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.record import RecordState, Tail, tail_key
from fileloft_fast.stores.remote.objects import Attributes
from fileloft_fast.uploads.leases.documents import Document
from tests.unit.flush.tidied import HOUR, ID, KEY, OTHER, PREFIX, START, Yard

NONCE: Final = f"{int(START):08x}0123456789abcdef"
NAMES: Final = [f"{ID}.tail-{NONCE}", f"{ID}.join-{NONCE}-7"]


def lease(*, held: bool = True, nonce: str = "n") -> bytes:
    return msgspec.json.encode(Document(owner="x", fence=1, ttl=10.0, nonce=nonce, held=held))


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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("metadata", "deleted"), [({}, 0), ({ID_NAME: OTHER}, 0), ({ID_NAME: ID}, 1)]
)
def test_without_a_prefix_what_no_record_tells_of_has_to_name_its_upload(
    name: str, metadata: dict[str, str], deleted: int
) -> None:
    yard = Yard("")
    yard.put(name, attributes=Attributes(metadata=metadata))
    assert yard.delete() == deleted
    assert (name in yard.keys) is not bool(deleted)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_prefix_a_record_tells_that_what_lies_beside_it_is_ours(name: str) -> None:
    yard = Yard("")
    yard.put(name)
    yard.record(state=RecordState.STORED)
    assert yard.delete() == 1
    assert yard.keys == {ID + ".info"}


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
    yard.put(KEY + ".lock", lease())
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
    yard.put(KEY + ".lock", lease(held=held))
    if state is not None:
        yard.record(state=state)
    assert yard.delete() == deleted


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize("state", [None, RecordState.STORED])
@pytest.mark.parametrize(
    "contents",
    [b"", b"\xff", b"pid 17", b'{"held": false}', b'{"owner": "x", "held": false}', b"[]"],
)
def test_a_lock_of_another_program_is_left_however_idle(
    prefix: str, state: RecordState | None, contents: bytes
) -> None:
    yard = Yard(prefix)
    yard.put(yard.key() + ".lock", contents)
    if state is not None:
        yard.record(state=state)
    assert [yard.delete() for _ in range(3)] == [0, 0, 0]
    assert yard.key() + ".lock" in yard.keys


def test_without_a_prefix_an_idle_lease_is_known_by_its_contents() -> None:
    yard = Yard("")
    yard.put(ID + ".lock", lease(held=False))
    assert [yard.delete(), yard.delete(1), yard.delete()] == [0, 0, 1]
    assert yard.keys == set()


def test_a_lease_that_was_written_between_two_looks_is_left() -> None:
    yard = Yard()
    for turn in range(4):
        yard.put(KEY + ".lock", lease(nonce=f"renewal {turn}"))
        assert yard.delete() == 0
    assert yard.keys == {KEY + ".lock"}


def test_the_lease_of_an_open_upload_is_left_however_idle() -> None:
    yard = Yard()
    yard.put(KEY + ".lock", lease())
    yard.record()
    assert [yard.delete(100 * HOUR) for _ in range(3)] == [0, 0, 0]


def test_a_store_that_fails_while_keys_are_listed_is_told() -> None:
    yard = Yard()
    yard.put(tail_key(PREFIX, ID, START))
    yard.objects.faults.refuse("delete")
    with pytest.raises(RemoteUnavailableError):
        yard.delete()
    assert yard.delete(0) == 1
