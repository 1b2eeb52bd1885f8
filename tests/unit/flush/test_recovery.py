"""A process that follows another one, which was killed."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.errors import NotStoredError, StoreError, UploadNotFoundError
from fileloft_fast.flush import FlushPlan, compress, shipment
from fileloft_fast.flush.journal import (
    Begin,
    Completed,
    Completing,
    Frame,
    Hole,
    Part,
    Session,
    Withdrawn,
    parse,
    render,
)
from fileloft_fast.flush.recovery import remember
from fileloft_fast.model import Concat, UploadId
from tests.stores.faults import Phase
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
FINISH: Final = FlushPlan()
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)
ZSTD: Final = FlushPlan(ack=AckMode.SPOOL, zstd_level=1)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    monkeypatch.setattr(compress, "FRAME_BYTES", 1500)
    monkeypatch.setattr(shipment, "FRAME_BYTES", 1500)


def part(number: int) -> Part:
    return Part(number, (number - 1) * PART, PART, "tag", 0)


def test_a_journal_is_read_to_its_end_and_a_new_session_begins_anew() -> None:
    begin, frame = Begin("key", PART, "owner"), Frame(10, 5)
    memory = remember(
        [begin, frame, Session("one"), part(1), Completing(1, 2), Session("two"), part(2), part(2)]
    )
    assert (memory.begin, memory.frame) == (begin, frame)
    assert memory.sessions == ["one", "two"]
    assert memory.parts == {2: part(2)}
    assert (memory.completed, memory.withdrawn) == (None, False)
    assert remember([begin, Hole(20), Hole(30), Session("one"), Hole(10)]).hole_end == 30
    memory = remember([begin, Completed("tag"), Withdrawn()])
    assert (memory.completed, memory.withdrawn) == (Completed("tag"), True)


def test_a_spool_keeps_its_name(tmp_path: Path) -> None:
    async def owner() -> str:
        async with spooled(tmp_path):
            return (tmp_path / "spool.id").read_text(encoding="ascii")

    first = asyncio.run(owner())
    assert len(first) == 32
    assert asyncio.run(owner()) == first


async def ship_some(process: Spooled, content: bytes, parts: int = 3) -> None:
    """Upload *content* but for its last byte, and see so many parts leave."""
    await process.create(ID, len(content))
    await process.patch(ID, content[:-1])
    await until(lambda: process.shipment(ID).shipped_end == parts * PART)


@pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
@pytest.mark.parametrize("plan", [FINISH, SPOOL, ZSTD], ids=["finish", "spool", "zstd"])
def test_a_session_goes_on_where_it_was(tmp_path: Path, limits: object, plan: FlushPlan) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket(PARALLEL if limits is PARALLEL else SEQUENTIAL)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, plan) as process:
            await ship_some(process, content, 3)
            await process.kill()
        async with spooled(tmp_path, bucket, plan) as process:
            assert (await process.load(ID)).info.offset == len(content) - 1
            await process.patch(ID, content[-1:])
            await process.settled()
            counts = process.objects.faults.counts
            assert (counts["create"], counts["complete"]) == (0, 1)
            assert counts["put_part"] <= 2  # none of those that had left
            assert await process.get(ID) == content

    asyncio.run(scene())


def test_what_is_complete_is_shipped_without_being_asked_for(tmp_path: Path) -> None:
    bucket, small = Bucket(), UploadId("b" * 32)
    content = os.urandom(3 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL, down=True) as process:
            await process.create(ID, len(content))
            await process.patch(ID, content)
            await process.create(small, 5, b"hello")
            await process.create(UploadId("c" * 32), 9, b"", Concat.NONE)
            await process.kill()
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.settled()
            assert process.content(ID) == content
            assert process.content(small) == b"hello"
            assert len(bucket.objects) == 4

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["create", "put_part", "complete", "put"])
@pytest.mark.parametrize("phase", list(Phase), ids=lambda phase: phase.value)
@pytest.mark.parametrize("key", [ID, f"{ID}.info"])
def test_a_kill_at_any_request_loses_nothing(
    tmp_path: Path, name: str, phase: Phase, key: str
) -> None:
    content = os.urandom(3 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL) as process:
            gate = process.objects.faults.gate(name, key=key, phase=phase)
            await process.create(ID, len(content))
            await process.patch(ID, content)
            await until(lambda: gate.reached.is_set() or not process.flusher.shipments)
            await process.kill()
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.settled()
            assert process.content(ID) == content
            assert (await process.head(ID)).complete
            assert process.files(ID) == []

    asyncio.run(scene())


def test_parts_of_an_upload_that_was_never_begun_leave_without_being_asked_for(
    tmp_path: Path,
) -> None:
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH, down=True) as process:
            await process.create(ID, 9 * PART)
            await process.patch(ID, bytes(2 * PART))
            await process.kill()
        async with spooled(tmp_path, bucket, FINISH) as process:
            await until(lambda: process.shipment(ID).shipped_end == 2 * PART)

    asyncio.run(scene())


def test_a_removal_goes_on(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            await process.kill()
        with (tmp_path / f"{ID}.journal").open("ab") as journal:
            journal.write(render(Withdrawn()))
        async with spooled(tmp_path, bucket, FINISH) as process:
            with pytest.raises(UploadNotFoundError):
                await process.load(ID)
            assert await process.store.tidy() == 1
            assert (bucket.objects, bucket.sessions) == ({}, {})
            assert process.files(ID) == []

    asyncio.run(scene())


def test_a_record_that_cannot_be_read_stops_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bucket, other = Bucket(), UploadId("b" * 32)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL, down=True) as process:
            for upload in (ID, other):
                await process.create(upload, 5, b"hello")
            await process.kill()
        (tmp_path / f"{ID}.info").write_bytes(b"damaged")
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.settled()
            assert process.content(other) == b"hello"
            assert (tmp_path / ID).read_bytes() == b"hello"
            assert "upload set aside" in caplog.text
            assert process.files(ID) == [ID, f"{ID}.info"]
            with pytest.raises(StoreError, match="set aside"):
                await process.load(ID)

    asyncio.run(scene())


def test_a_final_upload_that_was_not_put_together_is_nobodys(tmp_path: Path) -> None:
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await process.create(ID, 9, b"half", Concat.FINAL)
            await process.kill()
        async with spooled(tmp_path, bucket, FINISH) as process:
            with pytest.raises(UploadNotFoundError):
                await process.load(ID)

    asyncio.run(scene())


def test_partial_uploads_stay_in_the_spool_after_a_restart_too(tmp_path: Path) -> None:
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.create(ID, 5, b"hello", Concat.PARTIAL)
        async with spooled(tmp_path, bucket, SPOOL) as process:
            assert process.flusher.shipments == {}
            assert await process.get(ID) == b"hello"
            assert bucket.objects == {}

    asyncio.run(scene())


def test_what_was_begun_compressed_goes_on_so_whatever_is_set_now(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, ZSTD) as process:
            await ship_some(process, content)
            await process.kill()
        entries, _ = parse((tmp_path / f"{ID}.journal").read_bytes())
        assert any(isinstance(entry, Frame) for entry in entries)
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await process.patch(ID, content[-1:])
            await process.settled()
            assert bucket.objects[PREFIX + ID].attributes.encoding == "zstd"
            assert await process.get(ID) == content

    asyncio.run(scene())


def test_what_was_begun_plain_goes_on_so_whatever_is_set_now(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await ship_some(process, content)
            await process.kill()
        async with spooled(tmp_path, bucket, ZSTD) as process:
            await process.patch(ID, content[-1:])
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


def test_a_finished_upload_is_confirmed_after_a_restart_only_when_it_is_stored(
    tmp_path: Path,
) -> None:
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH, down=True) as process:
            await process.create(ID, 5)
            with process.hasty(), pytest.raises(NotStoredError):
                await process.patch(ID, b"hello")
            await process.kill()
        async with spooled(tmp_path, bucket, FINISH, down=True) as process:
            with process.hasty(), pytest.raises(NotStoredError):
                await process.head(ID)
            process.objects.faults.down = False
            assert (await process.head(ID)).complete
            assert process.content(ID) == b"hello"

    asyncio.run(scene())
