"""Replicas in chunk mode: answers that are lost, crashes, and two who believe to hold the lock."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import (
    NotStoredError,
    RemoteUnavailableError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.flush.record import RecordState
from fileloft_fast.model import UploadId
from tests.stores.faults import Phase
from tests.stores.memory import Bucket
from tests.stores.replica import (
    ID,
    KEY,
    KINDS,
    PART,
    Replica,
    bucket_of,
    content,
    hurry,
    killed,
    record_in,
    replicas,
    run,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return bucket_of(request.param)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


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
            patience_s, one.flusher.patience_s = one.flusher.patience_s, 0.05
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
            one.flusher.patience_s = patience_s  # the store is there: no part has to be in a hurry
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


def test_a_length_that_only_a_dead_replica_was_told_is_that_of_its_object(tmp_path: Path) -> None:
    bucket, data = Bucket(), content(3 * PART + 5)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "b") as (two,):
            one = Replica(bucket, tmp_path / "a")
            one.dock._part_bytes = 8 * PART
            await one.create(ID, None)
            await one.patch(ID, 0, data)
            one.dock._part_bytes = PART
            gate = one.memory.faults.gate("complete", phase=Phase.AFTER)
            found = await one.store.load(ID)
            last = asyncio.create_task(one.store.declare(found, len(data)))
            await gate.reached.wait()
            one.memory.faults.down = True
            gate.open()
            await killed(one, last)
            assert not (await two.head(ID)).complete
            await two.patch(ID, len(data), b"")
            assert (await two.head(ID)).complete
            assert await two.content(ID) == data

    run(work())


def test_an_object_that_a_dead_replica_has_made_ends_the_upload_in_a_smaller_request_too(
    tmp_path: Path,
) -> None:
    bucket, data = Bucket(), content(4 * PART + 5)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "b") as (two,):
            one = Replica(bucket, tmp_path / "a")
            await one.create(ID, len(data))
            await one.patch(ID, 0, data[: 2 * PART + 1])
            gate = one.memory.faults.gate("complete", phase=Phase.AFTER)
            last = asyncio.create_task(one.patch(ID, 2 * PART + 1, data[2 * PART + 1 :]))
            await gate.reached.wait()
            one.memory.faults.down = True
            gate.open()
            await killed(one, last)
            offset = (await two.head(ID)).offset
            assert offset == 2 * PART + 1, "what a dead replica has not noted is known"
            with pytest.raises(UploadLockedError):
                await two.patch(ID, offset, data[offset:-2])
            assert (await two.head(ID)).complete

    run(work())
    assert set(bucket.objects) == {KEY, KEY + ".info"}


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


def test_a_session_whose_name_cannot_be_written_down_yet_is_not_begun_again(
    bucket: Bucket, tmp_path: Path
) -> None:
    data = content(3 * PART + 5)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, len(data))
            one.memory.faults.refuse("put", key=".info", times=3)
            await one.patch(ID, 0, data)
            assert one.memory.faults.counts["create"] == 1

    run(work())
    assert bucket.objects[KEY].content == data


def test_a_store_that_is_busy_for_a_moment_turns_no_look_away(
    bucket: Bucket, tmp_path: Path
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, 100)
            one.memory.faults.refuse("fetch", times=2)
            assert (await one.head(ID)).length == 100
            one.memory.faults.refuse("fetch", times=3)
            with pytest.raises(RemoteUnavailableError):
                await one.head(ID)

    run(work())


def test_a_look_ends_in_time_where_the_store_is_silent(bucket: Bucket, tmp_path: Path) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, 100)
            one.store._dock.flusher.patience_s = 0.1
            silence = one.memory.faults.gate("fetch")
            with pytest.raises(RemoteUnavailableError, match="in time"):
                await one.head(ID)
            silence.open()

    run(work())
