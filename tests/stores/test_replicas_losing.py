"""Replicas in chunk mode: spools, files, sessions and parts that are gone, and holes in files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import fileloft_fast.flush.chunk
from fileloft_fast.errors import (
    RemoteUnavailableError,
    StorageFullError,
    UploadLockedError,
    UploadNotFoundError,
)
from tests.stores.faults import Call, Phase
from tests.stores.memory import SEQUENTIAL, Bucket
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
    no_room,
    record_in,
    replicas,
    run,
    settled_parts,
)
from tests.stores.spooled import digests_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return bucket_of(request.param)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


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
            await one.create(ID, len(data), b"", ("sha256",))
            gate = one.memory.faults.gate("complete")
            long = asyncio.create_task(one.patch(ID, 0, data))
            await gate.reached.wait()
            await killed(one, long)
            offset = (await two.head(ID)).offset
            assert offset >= PART
            await two.patch(ID, offset, data[offset:])
            assert (await two.head(ID)).digests == digests_of(data, ("sha256",))

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
            found = await one.store.declare(await one.store.load(ID), len(data))
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
                await settled_parts(one)
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
            await one.store.declare(await one.store.load(ID), 3 * PART)
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
