"""Uploads that are removed at any stage, with the bucket there or away: none comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from fileloft_fast.config import AckMode
from fileloft_fast.errors import NotStoredError, RemoteUnavailableError, UploadNotFoundError
from fileloft_fast.flush import FlushPlan
from fileloft_fast.model import UploadId
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.faults import Phase
from tests.stores.memory import Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)

Stage = Callable[[Spooled], Coroutine[Any, Any, None]]


async def small(process: Spooled) -> None:
    """Some bytes in the spool, nothing else."""
    await process.create(ID, 3 * PART)
    await process.patch(ID, b"hello")


async def begun(process: Spooled) -> None:
    """A session that holds a part."""
    await process.create(ID, 3 * PART)
    await process.patch(ID, bytes(2 * PART))
    await until(lambda: process.shipment(ID).shipped_end == 2 * PART)


async def flying(process: Spooled) -> None:
    """Parts in flight, which have not arrived."""
    gate = process.objects.faults.gate("put_part")
    await process.create(ID, 3 * PART)
    await process.patch(ID, bytes(2 * PART))
    await gate.reached.wait()


async def landed(process: Spooled) -> None:
    """Parts in flight, which have arrived."""
    gate = process.objects.faults.gate("put_part", phase=Phase.AFTER)
    await process.create(ID, 3 * PART)
    await process.patch(ID, bytes(2 * PART))
    await gate.reached.wait()


async def completed(process: Spooled) -> None:
    """An object whose answer has not come yet."""
    gate = process.objects.faults.gate("complete", phase=Phase.AFTER)
    await process.create(ID, 3 * PART)
    await process.patch(ID, bytes(3 * PART))
    await gate.reached.wait()


async def put(process: Spooled) -> None:
    """A small object whose answer has not come yet."""
    gate = process.objects.faults.gate("put", key=ID, phase=Phase.AFTER)
    await process.create(ID, 5, b"hello")
    await gate.reached.wait()


async def stored(process: Spooled) -> None:
    """An object, and a record that is not there yet."""
    process.objects.faults.gate("put", key=".info")
    await process.create(ID, 5, b"hello")
    await until(lambda: process.shipment(ID).stored)


async def settled(process: Spooled) -> None:
    """An object and its record; nothing in the spool."""
    await process.create(ID, 5, b"hello")
    await process.settled()


STAGES: Final = pytest.mark.parametrize(
    "stage", [small, begun, flying, landed, completed, put, stored, settled]
)
LOCAL: Final = pytest.mark.parametrize(
    "stage", [small, begun, flying, landed, completed, put, stored]
)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def files(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.name.startswith(ID)}


async def assert_gone(process: Spooled) -> None:
    with pytest.raises(UploadNotFoundError):
        await process.load(ID)
    assert process.bucket.sessions == {}
    assert process.bucket.objects == {}
    assert process.flusher.shipments == {}
    assert process.flusher.room.backlog == 0


@STAGES
def test_a_removal_leaves_nothing_anywhere(tmp_path: Path, stage: Stage) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            await stage(process)
            assert await process.store.remove(ID)
            process.objects.faults.clear()
            await assert_gone(process)
            await process.store.tidy()  # where the store may have gone on with what was cut off
            assert files(tmp_path) == set()
            assert not await process.store.remove(ID)

    asyncio.run(scene())


@pytest.mark.parametrize("size", [5, 2 * PART])
def test_a_removal_may_come_at_any_moment(tmp_path: Path, size: int) -> None:
    async def scene() -> None:
        plan = replace(SPOOL, orphan_age_s=-1.0)
        async with spooled(tmp_path, None, plan) as process:
            for moment in range(0, 150, 3):
                await process.create(ID, size)
                await process.patch(ID, bytes(size))
                for _ in range(moment):
                    await asyncio.sleep(0)
                assert await process.store.remove(ID)
                await process.store.tidy()  # a session whose name nobody has heard yet
                await assert_gone(process)
                assert files(tmp_path) == set()

    asyncio.run(scene())


@LOCAL
@pytest.mark.parametrize("restart", [False, True], ids=["tidied", "restarted"])
def test_with_the_bucket_away_the_upload_is_gone_and_the_rest_is_tidied_up(
    tmp_path: Path,
    stage: Stage,
    restart: bool,  # noqa: FBT001 - drawn
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fileloft_fast.flush.removal._CLEANING_S", 0.05)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await stage(process)
            process.objects.faults.down = True
            assert await process.store.remove(ID)
            assert process.flusher.shipments == {}
            assert files(tmp_path) <= {f"{ID}.journal"}
            if stage is not small:
                process.objects.faults.clear()
                with pytest.raises(UploadNotFoundError):
                    await process.load(ID)  # whatever the bucket still says
                process.objects.faults.down = True
            if not restart:
                process.objects.faults.clear()
                await process.store.tidy()
                await assert_gone(process)
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.store.tidy()
            await assert_gone(process)
            assert files(tmp_path) == set()

    asyncio.run(scene())


def test_what_only_the_bucket_has_is_not_removed_while_it_is_away(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path) as process:
            await settled(process)
            process.objects.faults.down = True
            with pytest.raises(RemoteUnavailableError):
                await process.store.remove(ID)
            process.objects.faults.clear()
            process.objects.faults.refuse("delete", key=".info")
            with pytest.raises(RemoteUnavailableError):
                await process.store.remove(ID)
            assert (await process.load(ID)).info.complete  # so that the client can try again
            assert await process.store.remove(ID)
            await assert_gone(process)

    asyncio.run(scene())


def test_who_waits_for_an_upload_that_is_removed_hears_that_it_is_gone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan()) as process:
            process.objects.faults.gate("put", key=ID)
            creating = asyncio.ensure_future(process.create(ID, 5, b"hello"))
            await until(lambda: process.flusher.shipments.get(ID))
            await process.store.remove(ID)
            with pytest.raises(UploadNotFoundError):
                await creating

    asyncio.run(scene())


def test_another_objects_place_is_not_cleared_by_a_removal(tmp_path: Path) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, FlushPlan()) as process:
            await process.objects.put(PREFIX + ID, b"precious", Attributes())
            await process.create(ID, 3 * PART)
            with process.hasty(), pytest.raises(NotStoredError):
                await process.patch(ID, os.urandom(3 * PART))
            await process.store.remove(ID)
            assert process.content(ID) == b"precious"
            assert process.bucket.sessions == {}

    asyncio.run(scene())


def test_a_removal_that_a_full_disk_prevents_leaves_the_upload_on_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            await begun(process)
            with monkeypatch.context() as patch:
                patch.setattr("fileloft_fast.flush.journal.Journal.append", _full, raising=True)
                with pytest.raises(OSError, match="full"):
                    await process.store.remove(ID)
            await process.patch(ID, bytes(PART))
            await process.settled()
            assert process.content(ID) == bytes(3 * PART)

    asyncio.run(scene())


async def _full(*_: object, **__: object) -> None:
    raise OSError("the disk is full")


@pytest.mark.parametrize("stage", [put, completed])
def test_an_object_that_comes_after_its_removal_is_swept(tmp_path: Path, stage: Stage) -> None:
    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            await stage(process)
            late = dict(process.bucket.objects)
            assert await process.store.remove(ID)
            process.objects.faults.clear()
            process.bucket.objects.update(late)  # the store had the request, and was slow
            with pytest.raises(UploadNotFoundError):
                await process.load(ID)
            await process.store.tidy()
            await assert_gone(process)
            assert files(tmp_path) == set()

    asyncio.run(scene())
