"""Which open sessions are aborted, and above all which are not; removals that come late."""

from __future__ import annotations

import asyncio

import pytest

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.record import Record, RecordState, render_record, tail_key
from fileloft_fast.model import Offset, UploadInfo
from fileloft_fast.stores.remote.objects import ABSENT, Attributes
from tests.stores.memory import SEQUENTIAL
from tests.unit.flush.tidied import ANOTHER, ANY, HOUR, ID, KEY, MINE, OTHER, PREFIX, START, Yard


def test_a_session_without_a_record_is_aborted() -> None:
    yard = Yard()
    yard.session()
    assert yard.abort() == 1
    assert yard.sessions == []


def test_a_young_session_is_left_whatever_is_known_of_it() -> None:
    yard = Yard()
    kept = yard.session()
    assert yard.abort(HOUR) == 0
    assert yard.sessions == [kept]
    assert yard.objects.faults.counts["fetch"] == 0


@pytest.mark.parametrize(
    "key",
    [
        PREFIX + "report.pdf",
        PREFIX + ID.upper(),
        PREFIX + ID + "0",
        PREFIX + "deeper/" + ID,
        PREFIX + ID + "\n",
        "elsewhere/" + ID,
        ID,
    ],
)
def test_sessions_of_others_are_left(key: str) -> None:
    yard = Yard()
    kept = yard.session(key)
    assert yard.abort() == 0
    assert yard.sessions == [kept]


def test_without_a_prefix_a_session_of_which_no_record_tells_is_left() -> None:
    yard = Yard("")
    kept = yard.session(ID)
    assert yard.abort(1000 * HOUR) == 0
    assert yard.sessions == [kept]


@pytest.mark.parametrize(
    ("state", "owner"),
    [(RecordState.OPEN, MINE), (RecordState.STORED, ANOTHER), (RecordState.STORED, "")],
)
def test_without_a_prefix_a_record_tells_whose_a_session_is(state: RecordState, owner: str) -> None:
    yard = Yard("")
    yard.session(ID)
    elsewhere = yard.session(KEY)
    yard.record(state=state, owner=owner)
    assert yard.abort() == 1
    assert yard.sessions == [elsewhere]


def test_without_a_prefix_every_session_of_a_lost_upload_goes_before_its_claim() -> None:
    yard = Yard("")
    yard.session(ID)
    yard.now += HOUR
    young = yard.session(ID)
    yard.record(owner=MINE)
    assert yard.abort(HOUR) == 1
    assert yard.sessions == [young]
    assert yard.keys == {ID + ".info"}
    assert yard.abort(1) == 1
    assert yard.sessions == []
    assert yard.keys == set()


def test_an_abort_that_fails_leaves_the_claim_for_the_next_time() -> None:
    yard = Yard("")
    yard.session(ID)
    yard.session(ID)
    yard.record(owner=MINE)
    yard.objects.faults.refuse("abort")
    with pytest.raises(RemoteUnavailableError):
        yard.abort()
    assert yard.keys == {ID + ".info"}
    assert yard.abort(0) == 2
    assert yard.keys == set()


def test_the_sessions_of_a_stored_upload_are_aborted() -> None:
    yard = Yard()
    yard.session()
    yard.record(state=RecordState.STORED, owner=ANOTHER)
    assert yard.abort() == 1
    assert KEY + ".info" in yard.keys


def test_a_session_that_another_spool_s_record_claims_is_left_however_old() -> None:
    yard = Yard()
    kept = yard.session()
    yard.record(owner=ANOTHER)
    assert yard.abort(1000 * HOUR) == 0
    assert yard.sessions == [kept]


@pytest.mark.parametrize("state", list(RecordState))
def test_a_session_that_a_local_journal_names_is_left(state: RecordState) -> None:
    yard = Yard()
    kept = yard.session()
    yard.record(state=state, owner=MINE)
    yard.local[ID] = {kept}
    assert yard.abort() == 0
    assert yard.sessions == [kept]


def test_a_session_of_ours_that_no_local_journal_names_is_aborted() -> None:
    yard = Yard()
    yard.session()
    kept = yard.session()
    yard.record(owner=MINE)
    yard.local[ID] = [kept]
    assert yard.abort() == 1
    assert yard.sessions == [kept]
    assert KEY + ".info" in yard.keys


def test_with_the_session_of_a_lost_upload_its_claim_goes() -> None:
    yard = Yard()
    yard.session()
    yard.session()
    yard.record(owner=MINE)
    assert yard.abort() == 2
    assert yard.sessions == []
    assert yard.keys == set()


def test_a_lost_upload_whose_object_is_there_keeps_object_and_record() -> None:
    yard = Yard()
    yard.session()
    yard.record(owner=MINE)
    yard.put(KEY)
    assert yard.abort() == 1
    assert yard.keys == {KEY, KEY + ".info"}


def test_where_any_replica_may_go_on_the_record_says_with_which_session() -> None:
    yard = Yard()
    first, kept, third = (yard.session() for _ in range(3))
    yard.record(owner="", session=kept)
    assert yard.abort() == 2
    assert yard.sessions == [kept]
    assert first != kept != third
    assert KEY + ".info" in yard.keys


@pytest.mark.parametrize(
    "contents",
    [
        b"another program's",
        b'{"id": "x"}',
        render_record(Record(info=UploadInfo(id=ID, offset=Offset(0), length=1))).replace(
            b'"version":1', b'"version":99'
        ),
    ],
    ids=["foreign", "other id", "newer version"],
)
def test_what_stands_in_the_record_s_place_and_is_not_understood_protects(contents: bytes) -> None:
    yard = Yard()
    session = yard.session()
    tail = tail_key(PREFIX, ID, START)
    yard.put(tail)
    yard.put(KEY + ".info", contents)
    yard.put(KEY + ".lock")
    assert yard.abort() == 0
    assert yard.delete() == 0
    assert yard.delete() == 0
    assert yard.sessions == [session]
    assert tail in yard.keys


def test_one_upload_that_is_not_understood_holds_none_of_the_others_up() -> None:
    yard = Yard()
    yard.session()
    yard.session(PREFIX + OTHER)
    yard.put(KEY + ".info", b"another program's")
    assert yard.abort() == 1
    assert len(yard.sessions) == 1


def test_a_store_that_fails_is_told_and_nothing_is_aborted_blindly() -> None:
    yard = Yard()
    yard.session()
    yard.objects.faults.refuse("fetch", key=".info")
    with pytest.raises(RemoteUnavailableError):
        yard.abort()
    assert len(yard.sessions) == 1
    assert yard.abort(0) == 1


def test_a_store_that_lists_no_sessions_has_none_to_abort() -> None:
    yard = Yard()
    yard.bucket.limits = SEQUENTIAL
    yard.session()
    assert yard.abort() == 0


def test_a_session_that_was_completed_meanwhile_leaves_its_object() -> None:
    yard = Yard()
    session = yard.session()
    gate = yard.objects.faults.gate("fetch", key=".info")

    async def scene() -> int:
        tidying = asyncio.create_task(yard.orphans.abort_sessions(yard.local.get, START + 2 * HOUR))
        await gate.reached.wait()
        yard.bucket.drop_session(session)
        yard.bucket.store(KEY, b"whole", ANY, ABSENT)
        gate.open()
        return await tidying

    assert asyncio.run(scene()) == 1
    assert yard.keys == {KEY}


# -- removals that the store has not seen ---------------------------------------------------------


def withdraw(yard: Yard, *sessions: str) -> None:
    asyncio.run(yard.orphans.withdraw(ID, sessions))


def test_a_withdrawn_upload_leaves_nothing() -> None:
    yard = Yard()
    session = yard.session()
    yard.put(KEY, attributes=Attributes(metadata={ID_NAME: ID}))
    yard.record(owner=MINE)
    withdraw(yard, session, "one that the store has forgotten")
    assert yard.keys == set()
    assert yard.sessions == []
    withdraw(yard, session)


@pytest.mark.parametrize("metadata", [{}, {ID_NAME: OTHER}])
def test_the_object_of_somebody_else_is_not_withdrawn(metadata: dict[str, str]) -> None:
    yard = Yard()
    yard.put(KEY, attributes=Attributes(metadata=metadata))
    withdraw(yard)
    assert yard.keys == {KEY}


@pytest.mark.parametrize("contents", [b"foreign", None])
def test_the_record_of_somebody_else_is_not_withdrawn(contents: bytes | None) -> None:
    yard = Yard()
    if contents is None:
        yard.record(owner=ANOTHER)
    else:
        yard.put(KEY + ".info", contents)
    withdraw(yard)
    assert yard.keys == {KEY + ".info"}
