"""Two replicas, two spools, one bucket (``FILELOFT_ACK=chunk``): any of them goes on with any."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import (
    RemoteUnavailableError,
    UploadNotFoundError,
)
from fileloft_fast.flush.chunk import ChunkMode
from fileloft_fast.flush.record import Record, RecordState, render_record
from fileloft_fast.model import Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.replica import (
    ID,
    KEY,
    KINDS,
    PART,
    bucket_of,
    content,
    hurry,
    record_in,
    replicas,
    run,
    settled,
    settled_upload,
)
from tests.stores.spooled import digests_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.memory import Bucket


@pytest.fixture(params=KINDS)
def bucket(request: pytest.FixtureRequest) -> Bucket:
    return bucket_of(request.param)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.mark.parametrize("hashes", [(), ("sha256",), ("sha512", "sha256")], ids=len)
@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
def test_each_request_goes_to_the_other_replica(
    bucket: Bucket,
    tmp_path: Path,
    hashes: tuple[str, ...],
    checked: bool,  # noqa: FBT001 - a parameter
) -> None:
    data = content(5 * PART + 100)

    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, len(data), b"", hashes)
            offset = 0
            for turn, size in enumerate((10, 3000, 5000, PART, 7, 2 * PART, 10**6)):
                at_work = (one, two)[turn % 2]
                chunk = data[offset : offset + size]
                offset = await at_work.patch(ID, offset, chunk, pieces=2, checked=checked)
                assert (await one.head(ID)).offset == offset
                found = await two.store.load(ID)
                assert found.info.offset == offset
                assert await two.store.digests(found) == digests_of(data[:offset], hashes)
            assert await one.content(ID) == data
            assert (await two.head(ID)).digests == digests_of(data, hashes)

    run(work())
    assert bucket.objects[KEY].content == data
    assert record_in(bucket).state is RecordState.STORED
    assert record_in(bucket).running == b""
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


def test_a_request_that_brings_nothing_writes_nothing(bucket: Bucket, tmp_path: Path) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a") as (one,):
            await one.create(ID, 3 * PART)
            await one.patch(ID, 0, content(PART + 5))
            one.memory.faults.calls.clear()
            await one.patch(ID, PART + 5, b"")
            await one.patch(ID, PART + 5, b"", cut=True)
            await one.store.append(await one.store.load(ID), b"")
            assert set(one.memory.faults.counts) == {"fetch"}

    run(work())


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
            found = await two.store.declare(found, size)
            assert (await two.store.append(found, b"")).complete
            assert (await one.head(ID)).complete

    run(work())
    assert bucket.objects[KEY].content == content(size)
    assert record_in(bucket).info.length == size


@pytest.mark.parametrize("size", [100, PART, 2 * PART])
def test_any_replica_ends_an_upload_that_awaits_its_end(
    bucket: Bucket, tmp_path: Path, size: int
) -> None:
    async def work() -> None:
        async with replicas(bucket, tmp_path / "a", tmp_path / "b") as (one, two):
            await one.create(ID, None, b"", ("sha256",))
            await one.patch(ID, 0, content(size), pieces=2)
            found = await two.store.declare(await two.store.load(ID), size, awaits_end=True)
            digests = digests_of(content(size), ("sha256",))
            assert await two.store.digests(found) == digests
            assert (found.info.length, found.info.complete) == (size, False)
            assert await one.patch(ID, size, b"") == size
            assert not (await one.head(ID)).complete
            assert KEY not in bucket.objects
            found = await one.store.declare(await one.store.load(ID), size)
            assert (await one.store.append(found, b"")).digests == digests
            assert (await two.head(ID)).digests == digests

    run(work())
    assert bucket.objects[KEY].content == content(size)


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
            await settled_upload(one)
            await getattr(appender, ending)()
            assert (await one.head(ID)).complete
            assert one.ledger.courses == {}

    run(work())
    assert bucket.objects[KEY].content == content(size)


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
