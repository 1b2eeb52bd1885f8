"""A process that follows another one whose machine lost power: files are shorter, or torn."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.errors import UploadNotFoundError
from fileloft_fast.flush import FlushPlan, compress, shipment
from fileloft_fast.flush.journal import (
    Part,
    render,
)
from fileloft_fast.model import UploadId
from fileloft_fast.stores.fs.info_file import render_info, render_mark
from tests.stores.memory import Bucket
from tests.stores.spooled import PART, Spooled, hurry, spooled, until

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


async def ship_some(process: Spooled, content: bytes, parts: int = 3) -> None:
    """Upload *content* but for its last byte, and see so many parts leave."""
    await process.create(ID, len(content))
    await process.patch(ID, content[:-1])
    await until(lambda: process.shipment(ID).shipped_end == parts * PART)


@pytest.mark.parametrize("left", [0, 100, PART, 3 * PART + 5])
def test_bytes_that_have_left_count_although_a_power_cut_took_the_file(
    tmp_path: Path, left: int
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            await process.kill()
        os.truncate(tmp_path / ID, left)
        async with spooled(tmp_path, bucket, FINISH) as process:
            offset = (await process.load(ID)).info.offset
            assert offset == max(3 * PART, left)
            await process.patch(ID, content[offset:])
            assert process.content(ID) == content

    asyncio.run(scene())


def test_parts_behind_a_gap_are_sent_again_after_a_power_cut(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            process.objects.faults.script = lambda call, _: (
                OSError("never") if call.number == 2 else None
            )
            await process.create(ID, len(content))
            await process.patch(ID, content[:-1])
            await until(lambda: {1, 3} <= process.shipment(ID).receipts.keys())
            assert process.shipment(ID).punched_to == PART
            await process.kill()
        os.truncate(tmp_path / ID, 2 * PART - 5)
        async with spooled(tmp_path, bucket, FINISH) as process:
            assert (await process.load(ID)).info.offset == 2 * PART - 5
            other = os.urandom(5) + content[2 * PART :]
            await process.patch(ID, other)
            assert process.content(ID) == content[: 2 * PART - 5] + other

    asyncio.run(scene())


@pytest.mark.parametrize(("mark", "offset"), [(100, 3 * PART), (3 * PART + 5, 3 * PART + 5)])
def test_a_mark_that_outlived_its_bytes_takes_back_none_that_have_left(
    tmp_path: Path, mark: int, offset: int
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            info = (await process.load(ID)).info
            await process.kill()
        contents = bytearray(render_info(info))
        contents[-23:-3] = render_mark(mark)
        (tmp_path / f"{ID}.info").write_bytes(contents)
        async with spooled(tmp_path, bucket, FINISH) as process:
            assert (await process.load(ID)).info.offset == offset
            await process.patch(ID, content[offset:], checked=True)
            assert process.content(ID) == content

    asyncio.run(scene())


def test_a_torn_journal_counts_up_to_the_tear(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            process.objects.faults.script = lambda call, _: (
                OSError("never") if call.number == 3 else None
            )
            await process.create(ID, len(content))
            await process.patch(ID, content[:-1])
            await until(lambda: process.shipment(ID).shipped_end == 2 * PART)
            await process.kill()
        journal = tmp_path / f"{ID}.journal"
        journal.write_bytes(journal.read_bytes() + render(part(3))[:-4])
        async with spooled(tmp_path, bucket, FINISH) as process:
            assert process.shipment(ID).shipped_end == 2 * PART
            await process.patch(ID, content[-1:])
            assert process.content(ID) == content

    asyncio.run(scene())


def test_a_file_without_its_data_was_on_its_way_out(tmp_path: Path) -> None:
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await process.create(ID, 9)
            await process.close()
        (tmp_path / ID).unlink()
        async with spooled(tmp_path, bucket, FINISH) as process:
            assert not (tmp_path / f"{ID}.info").exists()
            with pytest.raises(UploadNotFoundError):
                await process.load(ID)

    asyncio.run(scene())


def test_a_journal_whose_upload_a_power_cut_took_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = os.urandom(4 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship_some(process, content)
            await process.kill()
        (tmp_path / f"{ID}.info").unlink()
        async with spooled(tmp_path, bucket, FINISH) as process:
            assert process.flusher.shipments == {}
            assert (tmp_path / f"{ID}.journal").exists()
            assert "journal without an upload" in caplog.text

    asyncio.run(scene())
