"""A store that says it has lost what it took: whether it has, and what can be made of the rest."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.errors import (
    NotStoredError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
    UploadNotFoundError,
)
from fileloft_fast.flush import FlushPlan, compress, shipment
from fileloft_fast.model import UploadId
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Limits

ID: Final = UploadId("a" * 32)
FINISH: Final = FlushPlan()
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)
ZSTD: Final = FlushPlan(ack=AckMode.SPOOL, zstd_level=1)
TIGHT: Final = FlushPlan(ack=AckMode.SPOOL, spool_max_bytes=PART)  # nothing that has left stays
BOTH: Final = pytest.mark.parametrize("plan", [FINISH, TIGHT], ids=["finish", "spool"])
KINDS: Final = pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parts", "bytes"])


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(compress, "FRAME_BYTES", 1500)
    monkeypatch.setattr(shipment, "FRAME_BYTES", 1500)


async def ship_some(process: Spooled, content: bytes, parts: int = 3) -> None:
    """Upload *content* but for its last byte, and see so many parts leave."""
    await process.create(ID, len(content))
    await process.patch(ID, content[:-1])
    await shipped(process, parts)


async def shipped(process: Spooled, parts: int) -> None:
    await until(lambda: process.shipment(ID).shipped_end == parts * PART)


async def acknowledge(process: Spooled, content: bytes) -> None:
    """Have *content* acknowledged, of which the store has no more than the beginning."""
    await process.create(ID, len(content))
    await process.patch(ID, content[: 2 * PART + 100])
    await until(lambda: process.shipment(ID).shipped_end)
    process.objects.faults.down = True
    assert (await process.patch(ID, content[2 * PART + 100 :])).complete


# -- bytes that are still here --------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("plan", [SPOOL, ZSTD], ids=["plain", "zstd"])
@pytest.mark.parametrize("when", ["at work", "restarted"])
def test_what_was_acknowledged_outlives_a_session_that_the_store_has_forgotten(
    tmp_path: Path, limits: Limits, plan: FlushPlan, when: str
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket(limits)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await acknowledge(process, content)
            bucket.drop_session()
            if when == "restarted":
                await process.kill()
            else:
                process.objects.faults.down = False
                await process.settled()
        async with spooled(tmp_path, bucket, plan) as process:
            await process.settled()
            assert await process.get(ID) == content
            assert process.files(ID) == []
            assert bucket.sessions == {}

    asyncio.run(scene())


def test_a_session_may_be_lost_again_and_again(tmp_path: Path) -> None:
    content = os.urandom(6 * PART)
    bucket = Bucket()

    async def scene() -> None:
        for parts in (1, 2, 3, 4):
            async with spooled(tmp_path, bucket, SPOOL) as process:
                if parts == 1:
                    await process.create(ID, len(content))
                await process.patch(ID, content[(parts - 1) * PART : parts * PART])
                await shipped(process, parts)
                await process.kill()
            bucket.drop_session()
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.patch(ID, content[4 * PART :])
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


def test_bytes_that_a_power_cut_took_are_not_sent_as_zeros(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await ship_some(process, content)
            await process.kill()
        os.truncate(tmp_path / ID, PART + 7)
        for _ in range(2):  # the second time, the file has its size again
            async with spooled(tmp_path, bucket, SPOOL) as process:
                assert (await process.load(ID)).info.offset == 3 * PART
                await process.kill()
        bucket.drop_session()
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.patch(ID, content[3 * PART :])
            await until(lambda: not process.flusher.shipments)
            assert process.content(ID) is None
            with pytest.raises(StoreError, match="set aside"):
                await process.load(ID)

    asyncio.run(scene())


# -- bytes that are nowhere else ------------------------------------------------------------------


@BOTH
@KINDS
@pytest.mark.parametrize("name", ["put_part", "complete"])
@pytest.mark.parametrize("denials", [0, 2])
def test_one_answer_is_no_proof_that_a_session_is_lost(
    tmp_path: Path, plan: FlushPlan, limits: Limits, name: str, denials: int
) -> None:
    content = os.urandom(5 * PART)
    bucket = Bucket(limits)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content[: 2 * PART])
            await shipped(process, 2)
            await until(lambda: process.shipment(ID).punched_to)  # or nothing would be lost
            faults = process.objects.faults
            faults.refuse(name, error=SessionLostError("404, says a replica that was restored"))
            faults.refuse("list_parts", times=denials, error=SessionLostError("404"))
            assert (await process.patch(ID, content[2 * PART :])).complete
            await process.settled()
            assert faults.counts["list_parts"] == denials + 1
            assert faults.counts["create"] == 1
            assert process.content(ID) == content

    asyncio.run(scene())


@KINDS
def test_a_store_that_contradicts_itself_for_ever_ends_no_upload(
    tmp_path: Path, limits: Limits
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket(limits)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            faults = process.objects.faults
            faults.refuse("complete", times=10**6, error=SessionLostError("404"))
            with process.hasty(), pytest.raises(NotStoredError) as raised:
                await process.patch(ID, content[-1:])
            assert isinstance(raised.value.__cause__, RemoteUnavailableError | SessionLostError)
            faults.clear()
            assert (await process.head(ID)).complete
            assert process.content(ID) == content

    asyncio.run(scene())


@pytest.mark.parametrize("harm", ["dropped", "another"])
def test_a_session_without_all_that_it_took_is_lost(tmp_path: Path, harm: str) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            (session,) = bucket.sessions.values()
            if harm == "dropped":
                del session.parts[2]
            else:
                session.parts[2] = session.parts[1]
            with pytest.raises(UploadNotFoundError):
                await process.patch(ID, content[-1:])
            assert process.objects.faults.counts["list_parts"] == 3
            with pytest.raises(UploadNotFoundError):
                await process.load(ID)

    asyncio.run(scene())


def test_what_was_acknowledged_and_cannot_be_finished_is_kept_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, TIGHT) as process:
            await acknowledge(process, content)
            await until(lambda: process.shipment(ID).punched_to)
            (name,) = bucket.sessions
            forgotten = bucket.sessions.pop(name)
            process.objects.faults.down = False
            await until(lambda: not process.flusher.shipments)
            assert process.files(ID) == [ID, f"{ID}.info", f"{ID}.journal"]
            assert f"{PREFIX}{ID}.info" in bucket.objects
            assert caplog.text.count("upload set aside") == 1
            for ask in (process.load, process.head, process.get, process.store.remove):
                with pytest.raises(StoreError, match="set aside"):
                    await ask(ID)
        bucket.sessions[name] = forgotten  # restored from a backup
        async with spooled(tmp_path, bucket, TIGHT) as process:
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


def test_an_unfinished_upload_that_cannot_go_on_is_not_found_so_that_its_client_begins_anew(
    tmp_path: Path,
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, TIGHT) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content[: 2 * PART])
            await until(lambda: process.shipment(ID).punched_to == 2 * PART)
            bucket.drop_session()
            await process.patch(ID, content[2 * PART : 3 * PART])
            await until(lambda: not process.flusher.shipments)
            with pytest.raises(UploadNotFoundError):
                await process.load(ID)
            assert process.files(ID) == []

    asyncio.run(scene())
