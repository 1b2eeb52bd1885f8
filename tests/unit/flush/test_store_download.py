"""Finished uploads that are read while they are in the spool, on their way, or in the bucket."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import NotStoredError, RemoteUnavailableError, UploadNotFoundError
from fileloft_fast.flush import FlushPlan, compress, shipment
from fileloft_fast.flush.record import parse_record
from fileloft_fast.model import ByteStream, FileSlice, UploadId
from tests.stores.memory import Bucket
from tests.stores.spooled import PART, PREFIX, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)
FRAME: Final = 1500
RANGES: Final = ((0, 1), (0, 5 * PART), (PART - 1, 2), (5 * PART - 1, 1), (FRAME, FRAME))


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(compress, "FRAME_BYTES", FRAME)
    monkeypatch.setattr(shipment, "FRAME_BYTES", FRAME)


def test_what_is_not_stored_yet_is_read_from_the_spool_which_keeps_it_whole(
    tmp_path: Path,
) -> None:
    content = os.urandom(5 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            gate = process.objects.faults.gate("put_part")
            await process.create(ID, len(content))
            await process.patch(ID, content)
            await gate.reached.wait()
            source = await process.store.read(await process.load(ID), 0, len(content))
            assert isinstance(source, FileSlice)
            gate.open()
            await process.settled()
            # Sent slowly: every part has left meanwhile, and none became a hole.
            read = await process.engine.read(source.descriptor, len(content), 0)
            await process.engine.close_file(source.descriptor, SYNC_NONE)
            assert read == content
            assert process.content(ID) == content

    asyncio.run(scene())


def test_what_is_neither_whole_here_nor_there_is_asked_for_later(tmp_path: Path) -> None:
    plan = FlushPlan(ack=AckMode.SPOOL, spool_max_bytes=PART)  # too small to keep what has left

    async def scene() -> None:
        async with spooled(tmp_path, None, plan) as process:
            gate = process.objects.faults.gate("complete")
            await process.create(ID, 5 * PART)
            await process.patch(ID, os.urandom(5 * PART))
            await gate.reached.wait()
            assert process.shipment(ID).has_holes
            with process.hasty(), pytest.raises(NotStoredError):
                await process.store.read(await process.load(ID), 0, 1)
            gate.open()

    asyncio.run(scene())


def test_what_is_stored_but_not_settled_is_read_from_the_bucket(tmp_path: Path) -> None:
    content = os.urandom(5 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content[: 4 * PART])
            await until(lambda: process.shipment(ID).shipped_end == 4 * PART)
            process.objects.faults.gate("put", key=".info")
            await process.patch(ID, content[4 * PART :])
            await until(lambda: process.shipment(ID).stored)
            assert await process.get(ID) == content
            process.objects.faults.clear()

    asyncio.run(scene())


def test_what_left_the_spool_after_it_was_found_is_read_from_the_bucket(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path) as process:
            gate = process.objects.faults.gate("put", key=".info")
            await process.create(ID, 5, b"hello")
            found = await process.load(ID)
            gate.open()
            await process.settled()
            source = await process.store.read(found, 1, 3)
            assert isinstance(source, ByteStream)
            assert b"".join([piece async for piece in source.pieces]) == b"ell"

    asyncio.run(scene())


@pytest.mark.parametrize("level", [0, 1], ids=["plain", "zstd"])
@pytest.mark.parametrize(("start", "length"), RANGES)
def test_a_range_is_what_was_uploaded_however_it_is_kept(
    tmp_path: Path, start: int, length: int, level: int
) -> None:
    content = (os.urandom(500) + bytes(2000)) * 9
    content = content[: 5 * PART]

    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan(zstd_level=level)) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content)
            await process.settled()
            assert await process.get(ID, start, length) == content[start : start + length]

    asyncio.run(scene())


def test_a_compressed_object_says_so_and_is_smaller(tmp_path: Path) -> None:
    content = bytes(20 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan(zstd_level=3)) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content)
            await process.settled()
            stored = process.bucket.objects[PREFIX + ID]
            assert stored.attributes.encoding == "zstd"
            assert len(stored.content) < len(content) // 20
            record = parse_record(process.bucket.objects[f"{PREFIX}{ID}.info"].content, ID)
            assert record is not None
            assert (record.encoding, record.object_bytes) == ("zstd", len(stored.content))
            assert (await process.head(ID)).offset == len(content)

    asyncio.run(scene())


def test_what_does_not_compress_becomes_several_parts_while_it_arrives(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(6 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan(zstd_level=1)) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content[: 5 * PART])
            await until(lambda: process.shipment(ID).shipped_end == 4 * PART)
            assert (tmp_path / ID).stat().st_blocks * 512 <= PART + 4096
            await process.patch(ID, content[5 * PART :])
            assert await process.get(ID) == content

    asyncio.run(scene())


def test_what_was_compressed_of_earlier_requests_stays_so(tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3 * FRAME)

    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan(zstd_level=1)) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content[: FRAME + 10])
            await until(lambda: process.shipment(ID).raw_punched_to == FRAME)
            await process.patch(ID, content[FRAME + 10 : FRAME + 20])
            await process.patch(ID, content[FRAME + 20 :])
            assert await process.get(ID) == content

    asyncio.run(scene())


def test_clients_are_sent_to_the_bucket_only_for_what_they_can_read_there(tmp_path: Path) -> None:
    other = UploadId("b" * 32)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FlushPlan(redirect_ttl_s=60)) as process:
            process.objects.faults.gate("put", key=f"{other}.info")
            await process.create(ID, 5, b"hello")
            await process.create(other, 5, b"hello")
            await until(lambda: ID not in process.flusher.shipments)
            for upload in (ID, other):
                url = await process.store.locate(await process.load(upload))
                assert url == f"memory:///{PREFIX}{upload}?expires=60"
            process.objects.faults.clear()
        async with spooled(tmp_path, bucket) as process:
            assert await process.store.locate(await process.load(ID)) is None
        async with spooled(tmp_path, None, FlushPlan(redirect_ttl_s=60, zstd_level=1)) as process:
            await process.create(ID, 5, b"hello")
            assert await process.store.locate(await process.load(ID)) is None
            await process.settled()
            assert await process.store.locate(await process.load(ID)) is None

    asyncio.run(scene())


@pytest.mark.parametrize("level", [0, 1], ids=["plain", "zstd"])
def test_what_goes_wrong_at_once_is_told_before_an_answer_has_begun(
    tmp_path: Path, level: int
) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan(zstd_level=level)) as process:
            await process.create(ID, 5, b"hello")
            await process.settled()
            found = await process.load(ID)
            process.objects.faults.refuse("get")
            with pytest.raises(RemoteUnavailableError):
                await process.store.read(found, 0, 5)
            await process.objects.delete(PREFIX + ID)
            with pytest.raises(UploadNotFoundError):
                await process.store.read(found, 0, 5)

    asyncio.run(scene())


def test_a_reader_that_goes_away_leaves_nothing_open(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan(zstd_level=1)) as process:
            await process.create(ID, 5, b"hello")
            await process.settled()
            source = await process.store.read(await process.load(ID), 0, 5)
            assert isinstance(source, ByteStream)
            await source.pieces.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(source.pieces)

    asyncio.run(scene())
