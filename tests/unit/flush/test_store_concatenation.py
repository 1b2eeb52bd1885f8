"""Final uploads: made in the bucket, in the spool or through it; and what is left of a failure."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.errors import NotStoredError, RemoteUnavailableError, UploadNotFoundError
from fileloft_fast.flush import FlushPlan, compress, shipment
from fileloft_fast.flush.record import RecordState, parse_record
from fileloft_fast.model import Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.memory import Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

FINAL: Final = UploadId("f" * 32)
IDS: Final = tuple(UploadId(letter * 32) for letter in "abcd")
FINISH: Final = FlushPlan()
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)
ZSTD: Final = FlushPlan(zstd_level=1)
PLANS: Final = pytest.mark.parametrize(
    "plan", [FINISH, SPOOL, ZSTD], ids=["finish", "spool", "zstd"]
)
SIZES: Final = ((5 * PART, PART, 10), (PART, 10, 3 * PART), (0, 5), (0, 0), (PART,), (1, 1, 1))


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(compress, "FRAME_BYTES", 1500)
    monkeypatch.setattr(shipment, "FRAME_BYTES", 1500)


async def make_partials(process: Spooled, contents: Sequence[bytes]) -> None:
    for upload, content in zip(IDS, contents, strict=False):
        await process.create(upload, len(content), concat=Concat.PARTIAL)
        if content:
            await process.patch(upload, content)


async def concatenate(process: Spooled, count: int) -> UploadInfo:
    parts = [await process.load(upload) for upload in IDS[:count]]
    length = sum(part.info.offset for part in parts)
    info = UploadInfo(
        id=FINAL,
        offset=Offset(length),
        length=length,
        concat=Concat.FINAL,
        partials=IDS[:count],
    )
    return await process.store.concatenate(info, parts)


@PLANS
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("settled", [False, True], ids=["at once", "later"])
def test_a_final_upload_is_its_parts_in_order(
    tmp_path: Path,
    sizes: Sequence[int],
    plan: FlushPlan,
    settled: bool,  # noqa: FBT001 - drawn
) -> None:
    contents = [os.urandom(size) for size in sizes]

    async def scene() -> None:
        async with spooled(tmp_path, None, plan) as process:
            await make_partials(process, contents)
            if settled:
                await process.settled()
            info = await concatenate(process, len(sizes))
            assert (info.complete, info.offset) == (True, sum(sizes))
            if plan is not SPOOL:
                assert process.content(FINAL) is not None
            await process.settled()
            found = (await process.load(FINAL)).info
            assert (found.concat, found.partials) == (Concat.FINAL, IDS[: len(sizes)])
            if found.offset:
                assert await process.get(FINAL) == b"".join(contents)
            for upload, content in zip(IDS, contents, strict=False):
                assert (await process.head(upload)).offset == len(content)
            assert process.bucket.sessions == {}

    asyncio.run(scene())


def test_the_store_joins_what_it_can(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(PART), os.urandom(10)])
            await concatenate(process, 2)
            assert process.objects.faults.counts["join"] == 1
            assert process.objects.faults.counts["get"] == 0

    asyncio.run(scene())


def test_a_join_is_claimed_before_it_begins(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(PART)])
            gate = process.objects.faults.gate("join")
            making = asyncio.ensure_future(concatenate(process, 1))
            await gate.reached.wait()
            record = parse_record(process.bucket.objects[f"{PREFIX}{FINAL}.info"].content, FINAL)
            assert record is not None
            assert (record.state, record.info.offset) == (RecordState.OPEN, 0)
            assert record.owner == (tmp_path / "spool.id").read_text(encoding="ascii")
            with pytest.raises(UploadNotFoundError):
                await process.load(FINAL)
            gate.open()
            await making
            assert (await process.load(FINAL)).info.complete

    asyncio.run(scene())


def test_in_spool_mode_partial_uploads_stay_here_and_the_final_one_leaves(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            process.objects.faults.down = True
            await make_partials(process, [os.urandom(5 * PART), os.urandom(10)])
            await concatenate(process, 2)
            process.objects.faults.down = False
            await process.settled()
            assert set(process.bucket.objects) == {PREFIX + FINAL, f"{PREFIX}{FINAL}.info"}

    asyncio.run(scene())


def test_partial_uploads_of_another_mode_are_fetched_again(tmp_path: Path) -> None:
    contents = [os.urandom(3 * PART), os.urandom(10)]
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await make_partials(process, contents[:1])
            await process.settled()
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.create(IDS[1], 10, contents[1], concat=Concat.PARTIAL)
            await concatenate(process, 2)
            await process.settled()
            assert process.content(FINAL) == b"".join(contents)

    asyncio.run(scene())


def test_a_join_whose_answer_was_lost_is_found_done(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(PART)])
            process.objects.faults.lose("join")
            assert (await concatenate(process, 1)).complete

    asyncio.run(scene())


def test_a_final_upload_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(PART), os.urandom(10)])
            await process.settled()
            process.objects.faults.refuse("join", times=10_000)
            with process.hasty(), pytest.raises(RemoteUnavailableError):
                await concatenate(process, 2)
            process.objects.faults.clear()
            with pytest.raises(UploadNotFoundError):
                await process.load(FINAL)
            assert process.content(FINAL) is None
            assert f"{PREFIX}{FINAL}.info" not in process.bucket.objects

    asyncio.run(scene())


def test_one_that_goes_through_the_spool_and_fails_leaves_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(10), os.urandom(PART)])  # cannot be joined
            await process.settled()
            process.objects.faults.refuse("get", key=IDS[1], times=99)
            with pytest.raises(RemoteUnavailableError):
                await concatenate(process, 2)
            process.objects.faults.clear()
            assert process.files(FINAL) == []
            assert process.content(FINAL) is None
            assert process.flusher.shipments == {}
            process.objects.faults.refuse("create", times=10_000)
            with process.hasty(), pytest.raises(NotStoredError):
                await concatenate(process, 2)
            process.objects.faults.clear()
            assert process.flusher.shipments == {}

    asyncio.run(scene())


def test_a_partial_upload_that_was_removed_meanwhile_is_not_found(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(PART)])
            await process.settled()
            part = await process.load(IDS[0])
            await process.store.remove(IDS[0])
            info = UploadInfo(id=FINAL, offset=Offset(PART), length=PART, concat=Concat.FINAL)
            with pytest.raises(UploadNotFoundError):
                await process.store.concatenate(info, [part])

    asyncio.run(scene())


def test_another_objects_place_is_left_to_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, [os.urandom(PART)])
            await process.objects.put(PREFIX + FINAL, b"precious", Attributes())
            with pytest.raises(Exception, match="another version"):
                await concatenate(process, 1)
            assert process.content(FINAL) == b"precious"

    asyncio.run(scene())


def test_a_large_final_upload_takes_no_more_of_the_spool_than_any_other(tmp_path: Path) -> None:
    contents = [os.urandom(10), os.urandom(20 * PART)]

    async def scene() -> None:
        async with spooled(tmp_path, None, FINISH) as process:
            await make_partials(process, contents)
            await process.settled()
            gate = process.objects.faults.gate("put_part", key=FINAL)
            making = asyncio.ensure_future(concatenate(process, 2))
            await gate.reached.wait()
            await until(lambda: process.shipment(FINAL).backlog >= 3 * PART)
            await asyncio.sleep(0.02)
            # What one GET brings at once is the most that comes on top.
            assert (tmp_path / FINAL).stat().st_size <= 3 * PART + 64 * 1024
            gate.open()
            await making
            assert process.content(FINAL) == b"".join(contents)

    asyncio.run(scene())
