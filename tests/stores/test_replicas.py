"""Two replicas, two spools, one bucket (``FILELOFT_ACK=chunk``): any of them goes on with any."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

import pytest

import fileloft_fast.flush.chunk
from fileloft_fast.errors import (
    NotStoredError,
    RemoteUnavailableError,
    StorageFullError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.flush.chunk import ChunkMode
from fileloft_fast.flush.record import Record, RecordState, parse_record, record_key, render_record
from fileloft_fast.model import Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.faults import Call, Phase
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.replica import PART, PREFIX, Replica, hurry, replicas

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("0123456789abcdef" * 2)
KEY: Final = PREFIX + ID


@pytest.fixture(params=["parallel", "sequential", "blocks"])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    if request.param == "sequential":
        return Bucket(SEQUENTIAL, unique_tags=True)
    return Bucket(PARALLEL, block_ids=request.param == "blocks")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def content(size: int) -> bytes:
    return bytes(i * 7 % 251 for i in range(size))


def record_in(bucket: Bucket) -> Record:
    record = parse_record(bucket.objects[record_key(PREFIX, ID)].content, ID)
    assert record is not None
    return record


async def killed(replica: Replica, *requests: asyncio.Task[Any]) -> None:
    """End *replica* as SIGKILL does, with what it is at."""
    for request in requests:
        request.cancel()
    await replica.kill()
    await asyncio.gather(*requests, return_exceptions=True)


async def settled(replica: Replica) -> None:
    """Wait for what *replica* deletes in the background."""
    while replica.ledger._dropping:
        await asyncio.wait(tuple(replica.ledger._dropping))


async def settle_parts(replica: Replica) -> None:
    """Wait until every part that may leave has left."""
    for shipment in replica.flusher.shipments.values():
        await replica.flusher.drained(shipment, shipment.sendable_end)


async def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no room")


def test_each_request_goes_to_the_other_replica(bucket: Bucket, tmp_path: Path) -> None:
    data = content(5 * PART + 100)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            offset = 0
            for turn, size in enumerate((10, 3000, 5000, PART, 7, 2 * PART, 10**6)):
                at_work = (one, two)[turn % 2]
                chunk = data[offset : offset + size]
                offset = await at_work.patch(ID, offset, chunk)
                assert (await one.head(ID)).offset == offset
                assert (await two.head(ID)).offset == offset
            assert await one.content(ID) == data

    run(work())
    assert bucket.objects[KEY].content == data
    assert record_in(bucket).state is RecordState.STORED
    assert set(bucket.objects) == {KEY, KEY + ".info"}
    assert not bucket.sessions


def test_a_small_request_costs_one_tail_and_one_record(bucket: Bucket, tmp_path: Path) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, 3 * PART)
            calls = one.memory.faults.calls
            assert [(call.name, call.key) for call in calls] == [("put", KEY + ".info")]
            calls.clear()
            await one.patch(ID, 0, b"x" * 100)
            assert [call.name for call in calls] == ["fetch", "put", "put"]
            calls.clear()
            await one.patch(ID, 100, b"x" * 40)  # less than half the tail before it, which stays
            assert [call.name for call in calls] == ["fetch", "put", "put"]
            assert len(record_in(bucket).tails) == 2
            await one.patch(ID, 140, b"x" * 200)
            assert len(record_in(bucket).tails) == 1

    run(work())
    assert len(bucket.objects) == 2  # the record and its tail: older ones were deleted


def test_an_upload_that_comes_whole_costs_the_object_and_the_record(
    bucket: Bucket, tmp_path: Path
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, 5, b"hello")
            assert [call.name for call in one.memory.faults.calls] == ["put", "put"]
            assert (await two.head(ID)).complete
            assert await two.content(ID) == b"hello"

    run(work())
    assert set(bucket.objects) == {KEY, KEY + ".info"}


def test_an_upload_of_no_bytes_is_an_object(bucket: Bucket, tmp_path: Path) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, 0)
            assert (await one.head(ID)).complete

    run(work())
    assert bucket.objects[KEY].content == b""


@pytest.mark.parametrize("size", [100, PART, PART + 1, 2 * PART, 3 * PART - 1])
def test_a_length_that_is_told_late_is_told_to_all(
    bucket: Bucket, tmp_path: Path, size: int
) -> None:
    data = content(size)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, None)
            await one.patch(ID, 0, data[:-50])
            await two.patch(ID, size - 50, data[-50:-10], length=size)
            assert (await one.head(ID)).length == size
            await one.patch(ID, size - 10, data[-10:])

    run(work())
    assert bucket.objects[KEY].content == data
    assert set(bucket.objects) == {KEY, KEY + ".info"}


@pytest.mark.parametrize("size", [100, PART, 2 * PART])
def test_a_length_that_was_all_that_lacked_finishes_the_upload(
    bucket: Bucket, tmp_path: Path, size: int
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, None)
            await one.patch(ID, 0, content(size))
            assert not (await two.head(ID)).complete
            found = await two.store.load(ID)
            found = await two.store.declare_length(found, size)
            assert (await two.store.append(found, b"")).complete
            assert (await one.head(ID)).complete

    run(work())
    assert bucket.objects[KEY].content == content(size)
    assert record_in(bucket).info.length == size


def test_bytes_of_a_request_that_was_cut_count_at_every_replica(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(4 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[: 2 * PART + 9], cut=True)
            assert (await two.head(ID)).offset == 2 * PART + 9
            await two.patch(ID, 2 * PART + 9, data[2 * PART + 9 :])

    run(work())
    assert bucket.objects[KEY].content == data


def test_nothing_of_a_checked_body_is_in_the_bucket_before_it_is_verified(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(6 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[:100])
            before = dict(bucket.objects)
            found = await one.store.load(ID)
            appender = await one.store.open(found, checked=True, algorithm="sha1")
            await appender.write(b"wrong" * PART)
            await asyncio.sleep(0.05)
            await appender.discard()
            assert bucket.objects == before
            assert not bucket.sessions
            assert (await two.head(ID)).offset == 100
            assert await one.patch(ID, 100, data[100 : 5 * PART], checked=True) == 5 * PART
            await two.patch(ID, 5 * PART, data[5 * PART :], checked=True)

    run(work())
    assert bucket.objects[KEY].content == data


@pytest.mark.parametrize("size", [100, 2 * PART + 5])
@pytest.mark.parametrize("ending", ["commit", "keep"])
def test_an_upload_may_be_stored_before_its_request_has_ended(
    bucket: Bucket, tmp_path: Path, size: int, ending: str
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, size)
            appender = await one.store.open(await one.store.load(ID))
            await appender.write(content(size))
            while ID in one.flusher.shipments:
                await asyncio.sleep(0.001)
            await getattr(appender, ending)()
            assert (await one.head(ID)).complete
            assert one.ledger.courses == {}

    run(work())
    assert bucket.objects[KEY].content == content(size)


# -- answers that are lost, stores that are down ------------------------------------------------


@pytest.mark.parametrize("operation", ["create", "put_part", "complete", "put", "fetch"])
@pytest.mark.parametrize("size", [100, 3 * PART + 5])
def test_any_answer_may_be_lost(bucket: Bucket, tmp_path: Path, operation: str, size: int) -> None:
    data = content(size)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            one.memory.faults.lose("put", key=".info")
            await one.create(ID, size)
            for at_work, start, end in ((one, 0, size // 2), (two, size // 2, size)):
                if operation != "fetch":
                    at_work.memory.faults.lose(operation, times=2)
                await at_work.patch(ID, start, data[start:end])

    run(work())
    assert bucket.objects[KEY].content == data
    assert record_in(bucket).state is RecordState.STORED


def test_where_the_store_is_down_nothing_is_acknowledged_and_nothing_is_missing(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(4 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            one.flusher.patience_s = 0.05
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[:100])
            for size in (50, 2 * PART, len(data) - 100):
                one.memory.faults.script = lambda call, _: (
                    None if call.name == "fetch" else RemoteUnavailableError("503")
                )
                with pytest.raises((NotStoredError, RemoteUnavailableError)):
                    await one.patch(ID, 100, data[100 : 100 + size])
                one.memory.faults.script = None
                assert (await two.head(ID)).offset == 100
            one.memory.faults.down = True
            with pytest.raises(RemoteUnavailableError):
                await one.head(ID)
            with pytest.raises(RemoteUnavailableError):
                await one.create(UploadId("b" * 32), 5)
            one.memory.faults.down = False
            assert await one.patch(ID, 100, data[100:]) == len(data)

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_creation_that_fails_leaves_nothing(bucket: Bucket, tmp_path: Path) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            one.flusher.patience_s = 0.05
            one.memory.faults.refuse("put", key=".info", times=1000)
            for length, body in ((5, b"hello"), (50, b"hello")):
                with pytest.raises((NotStoredError, RemoteUnavailableError)):
                    await one.create(ID, length, body)
                with pytest.raises(UploadNotFoundError):
                    await one.head(ID)
                assert list(one.root.iterdir()) == []
            assert one.flusher.shipments == {}
            assert one.ledger.courses == {}

    run(work())


@pytest.mark.parametrize("size", [100, 3 * PART + 5])
def test_a_crash_between_the_object_and_its_record_is_settled_by_the_next_replica(
    bucket: Bucket, tmp_path: Path, size: int
) -> None:
    data = content(size)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "b") as (two,):
            one = Replica(bucket, tmp_path / "a")
            await one.create(ID, size)
            await one.patch(ID, 0, data[:60])
            completing = "complete" if size > PART else "put"
            gate = one.memory.faults.gate(completing, key=ID, phase=Phase.AFTER)
            last = asyncio.create_task(one.patch(ID, 60, data[60:]))
            await gate.reached.wait()
            one.memory.faults.down = True
            gate.open()
            await killed(one, last)
            assert bucket.objects[KEY].content == data
            assert (await two.head(ID)).offset < size
            offset = (await two.head(ID)).offset
            with contextlib.suppress(UploadLockedError):
                await two.patch(ID, offset, data[offset:])
            assert (await two.head(ID)).complete

    run(work())
    assert bucket.objects[KEY].content == data
    assert record_in(bucket).state is RecordState.STORED


def test_an_object_that_a_dead_replica_has_made_ends_the_upload_in_a_smaller_request_too(
    tmp_path: Path,
) -> None:
    bucket, data = Bucket(), content(4 * PART + 5)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "b") as (two,):
            one = Replica(bucket, tmp_path / "a", note_s=0)
            await one.create(ID, len(data))
            gate = one.memory.faults.gate("complete", phase=Phase.AFTER)
            last = asyncio.create_task(one.patch(ID, 0, data))
            await gate.reached.wait()
            one.memory.faults.down = True
            gate.open()
            await killed(one, last)
            offset = (await two.head(ID)).offset
            assert 0 < offset < len(data)
            with pytest.raises(UploadLockedError):
                await two.patch(ID, offset, data[offset:-2])
            assert (await two.head(ID)).complete

    run(work())
    assert set(bucket.objects) == {KEY, KEY + ".info"}


# -- more than one at a time --------------------------------------------------------------------


def test_of_two_who_believe_to_hold_the_lock_one_is_acknowledged(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(3 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            done = await asyncio.gather(
                one.patch(ID, 0, data[:1000]),
                two.patch(ID, 0, data[: PART + 1000]),
                return_exceptions=True,
            )
            offset = (await one.head(ID)).offset
            assert offset in done
            assert [error for error in done if isinstance(error, UploadLockedError)]
            await two.patch(ID, offset, data[offset:])

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_replica_that_lost_its_lock_in_the_middle_changes_nothing(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(5 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[: 2 * PART + 50])
            gate = one.memory.faults.gate("put_part")
            zombie = asyncio.create_task(one.patch(ID, 2 * PART + 50, data[2 * PART + 50 : -9]))
            await gate.reached.wait()
            assert await two.patch(ID, 2 * PART + 50, data[2 * PART + 50 : 4 * PART]) == 4 * PART
            gate.open()
            with pytest.raises(UploadLockedError):
                await zombie
            assert (await one.head(ID)).offset == 4 * PART
            assert await one.patch(ID, 4 * PART, data[4 * PART :]) == len(data)

    run(work())
    assert bucket.objects[KEY].content == data


def test_both_may_finish_the_same_upload(bucket: Bucket, tmp_path: Path) -> None:
    data = content(3 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[: PART + 50])
            gate = one.memory.faults.gate("complete")
            slow = asyncio.create_task(one.patch(ID, PART + 50, data[PART + 50 :]))
            await gate.reached.wait()
            assert await two.patch(ID, PART + 50, data[PART + 50 :]) == len(data)
            gate.open()
            with pytest.raises(UploadLockedError):
                await slow
            assert (await one.head(ID)).complete

    run(work())
    assert bucket.objects[KEY].content == data


# -- loss ---------------------------------------------------------------------------------------


def test_a_spool_that_is_lost_loses_nothing(bucket: Bucket, tmp_path: Path) -> None:
    data = content(3 * PART)

    async def work() -> None:
        offset = 0
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, len(data))
        for turn in range(3):
            async with replicas(bucket, tmp_path / f"{turn}") as (one,):
                offset = await one.patch(ID, offset, data[offset : offset + PART - 7])
        async with replicas(bucket, tmp_path / "2") as (one,):
            assert list(one.root.iterdir())
            await one.mode.start()
            assert list(one.root.iterdir()) == []
            await one.patch(ID, offset, data[offset:])

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_file_that_was_taken_off_the_shelf_is_fetched_again(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(3 * PART)

    async def work() -> None:
        one = Replica(bucket, tmp_path / "a", shelf_most=0)
        try:
            await one.create(ID, len(data))
            for offset in range(0, len(data) - 1, 1000):
                await one.patch(ID, offset, data[offset : min(offset + 1000, len(data) - 1)])
                await one.shelf.close()
                assert list(one.root.iterdir()) == []
            await one.patch(ID, len(data) - 1, data[-1:])
        finally:
            await one.close()

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_disk_that_is_full_changes_nothing(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[:100])
            before = dict(bucket.objects)
            with monkeypatch.context() as full:
                full.setattr(two.mode._takeover, "_fetch", no_room)
                with pytest.raises(StorageFullError):
                    await two.patch(ID, 100, data[100:])
            assert bucket.objects == before
            assert list(two.root.iterdir()) == []
            await two.patch(ID, 100, data[100:])

    run(work())
    assert bucket.objects[KEY].content == data


def test_what_a_long_request_has_sent_counts_before_it_ends(bucket: Bucket, tmp_path: Path) -> None:
    data = content(8 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "b") as (two,):
            one = Replica(bucket, tmp_path / "a", note_s=0)
            await one.create(ID, len(data))
            gate = one.memory.faults.gate("complete")
            long = asyncio.create_task(one.patch(ID, 0, data))
            await gate.reached.wait()
            await killed(one, long)
            offset = (await two.head(ID)).offset
            assert offset >= PART
            await two.patch(ID, offset, data[offset:])

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_session_that_held_nothing_that_counted_can_be_lost(tmp_path: Path) -> None:
    bucket, data = Bucket(SEQUENTIAL), content(4 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[:100])

            def lose_session(call: Call, phase: Phase) -> None:
                if call.name == "put_part" and call.number == 2 and phase is Phase.BEFORE:
                    bucket.sessions.clear()

            one.memory.faults.script = lose_session
            with pytest.raises(RemoteUnavailableError):
                await one.patch(ID, 100, data[100 : 3 * PART])
            one.memory.faults.script = None
            assert (await two.head(ID)).offset == 100
            await two.patch(ID, 100, data[100 : 2 * PART])
            await one.patch(ID, 2 * PART, data[2 * PART :])

    run(work())
    assert bucket.objects[KEY].content == data


def test_an_upload_whose_parts_the_store_has_lost_is_gone(bucket: Bucket, tmp_path: Path) -> None:
    data = content(4 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[: 2 * PART])
            bucket.drop_session()
            with pytest.raises(UploadNotFoundError):
                await two.patch(ID, 2 * PART, data[2 * PART :])
            with pytest.raises(UploadNotFoundError):
                await one.head(ID)

    run(work())


def test_a_session_that_is_gone_because_another_replica_went_on_is_no_loss(
    bucket: Bucket, tmp_path: Path
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, 5 * PART)
            await one.patch(ID, 0, content(2 * PART + 5))
            opened = await one.mode.opened(await one.mode.load(ID))
            shipment = one.flusher.shipments[ID]
            await two.patch(ID, 2 * PART + 5, b"x" * 10)
            await one.ledger.lose(shipment)
            with pytest.raises(UploadLockedError):
                raise one.ledger.courses[ID].failure or AssertionError
            assert opened.info.offset == 2 * PART + 5
            assert (await two.head(ID)).offset == 2 * PART + 15
            await two.store.remove(ID)
            await one.ledger.lose(shipment)
            with pytest.raises(UploadNotFoundError):
                raise one.ledger.courses[ID].failure or AssertionError

    run(work())


def test_a_file_that_somebody_deleted_is_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    data = content(2 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, len(data))
            for offset in range(0, len(data), 1000):
                await one.patch(ID, offset, data[offset : offset + 1000])
                for file in one.root.iterdir():
                    file.unlink()

    run(work())
    assert bucket.objects[KEY].content == data


@pytest.mark.parametrize("request_", ["empty", "cut", "checked"])
def test_parts_that_leave_during_a_request_without_bytes_leave_no_hole_behind(
    bucket: Bucket, tmp_path: Path, request_: str
) -> None:
    """A length that is told makes a part of what was a tail, and the part's bytes a hole."""
    data = content(3 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, None)
            await one.patch(ID, 0, data[:PART])
            found = await one.store.declare_length(await one.store.load(ID), len(data))
            if request_ == "empty":
                await one.store.append(found, b"")
            else:
                appender = await one.store.open(found, checked=request_ == "checked")
                await (appender.keep() if request_ == "cut" else appender.discard())
            assert (await one.head(ID)).offset == PART
            await one.patch(ID, PART, data[PART:])

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_part_size_that_shrinks_between_two_requests_leaves_no_hole_behind(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(9 * PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            one.dock._part_bytes = 4 * PART
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[: 3 * PART])
            one.dock._part_bytes = PART
            for ending in ("discard", "keep", "discard"):
                appender = await one.store.open(await one.store.load(ID), checked=True)
                await appender.write(b"wrong")
                await settle_parts(one)
                await getattr(appender, ending)()
                assert (await one.head(ID)).offset == 3 * PART
            await one.patch(ID, 3 * PART, data[3 * PART :])

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_request_that_fails_after_it_has_told_the_length_leaves_nothing_open(
    bucket: Bucket, tmp_path: Path
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, None)
            await one.store.declare_length(await one.store.load(ID), 3 * PART)
            assert one.ledger.courses == {}
            assert one.flusher.shipments == {}
            assert (await one.head(ID)).length == 3 * PART
            await one.patch(ID, 0, content(3 * PART))

    run(work())


def test_a_large_rest_is_put_in_pieces(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileloft_fast.flush.chunk, "_TAIL_BYTES", 1000)
    data = content(PART)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[:3500])
            assert [tail.size for tail in record_in(bucket).tails] == [1000, 1000, 1000, 500]
            await two.patch(ID, 3500, data[3500:])

    run(work())
    assert bucket.objects[KEY].content == data


# -- ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 2 * PART + 50, 3 * PART])
def test_a_termination_leaves_nothing(bucket: Bucket, tmp_path: Path, size: int) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, 3 * PART)
            await one.patch(ID, 0, content(size))
            two.memory.faults.down = True
            before = dict(bucket.objects)
            with pytest.raises(RemoteUnavailableError):
                await two.store.remove(ID)
            assert bucket.objects == before
            two.memory.faults.down = False
            assert await two.store.remove(ID)
            assert not await two.store.remove(ID)
            with pytest.raises(UploadNotFoundError):
                await one.head(ID)
            await settled(two)

    run(work())
    assert bucket.objects == {}
    assert not bucket.sessions


def test_an_upload_of_another_program_or_another_mode_is_none(
    bucket: Bucket, tmp_path: Path
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            info = UploadInfo(id=ID, offset=Offset(0), length=5)
            for contents in (b'{"ID":"tusd"}', render_record(Record(info=info, owner="spool"))):
                await one.memory.put(KEY + ".info", contents, Attributes())
                with pytest.raises(UploadNotFoundError):
                    await one.head(ID)
                assert not await one.store.remove(ID)
                assert KEY + ".info" in bucket.objects

    run(work())


def test_the_sweeper_is_told_of_uploads_that_can_expire_and_not_all_the_time(
    bucket: Bucket, tmp_path: Path
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, 50, b"hello")
            await one.create(UploadId("b" * 32), 5, b"hello")
            await one.memory.put("in/", b"", Attributes())
            assert [name async for name in two.store.names()] == [ID]
            finished_too = ChunkMode(
                two.dock, two.ledger, ttl_s=None, expire_finished=True, listing_s=3600
            )
            names = [name async for name in finished_too.names()]
            assert names == [ID, UploadId("b" * 32)]
            two.memory.faults.calls.clear()
            assert [name async for name in finished_too.names()] == []
            assert two.memory.faults.calls == []

    run(work())


@pytest.mark.parametrize("sizes", [(2 * PART, 100), (100, 200), (0, 5)])
def test_finished_uploads_of_any_replica_can_be_put_together(
    bucket: Bucket, tmp_path: Path, sizes: tuple[int, int]
) -> None:
    parts = [UploadId("b" * 32), UploadId("c" * 32)]

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            for upload, size in zip(parts, sizes, strict=True):
                await one.create(upload, size)
                if size:
                    await two.patch(upload, 0, content(size))
            length = sum(sizes)
            info = UploadInfo(id=ID, offset=Offset(length), length=length, concat=Concat.FINAL)
            found = [await two.store.load(upload) for upload in parts]
            assert (await two.store.concatenate(info, found)).complete
            assert (await one.head(ID)).concat is Concat.FINAL
            assert await one.content(ID) == content(sizes[0]) + content(sizes[1])

    run(work())
    assert not bucket.sessions
