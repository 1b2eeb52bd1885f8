"""The compressed file beside the spool: its frames, and where it goes on after a restart."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import StoreError
from fileloft_fast.flush import compress
from fileloft_fast.flush.compress import Compressor, stored_bound, stored_name
from fileloft_fast.flush.journal import Begin, Entry, Frame, Journal
from fileloft_fast.model import UploadId

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("c" * 32)
FRAME: Final = 1000
STEP: Final = 4 * FRAME
RAW: Final = random.Random(1).randbytes(7 * FRAME // 2) + b"text " * (11 * FRAME // 10)  # 9 frames
LEVEL: Final = 3


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "FRAME_BYTES", FRAME)


class Press:
    """A directory with an upload in it, its journal, and compressors."""

    def __init__(self, root: Path, engine: Engine, directory: int) -> None:
        self.raw = root / ID
        self.stored = root / stored_name(ID).decode()
        self.directory = directory
        self.journal = Journal(engine, directory, b"journal")

    async def compressor(self) -> Compressor:
        """Return one that begins where the journal says."""
        entries = await self.journal.read()
        return Compressor(self.directory, ID, LEVEL, self.journal, entries)

    def content(self, compressor: Compressor) -> bytes:
        """Return what the ready bytes stand for."""
        return content_of(self.stored.read_bytes()[: compressor.stored_end])


def content_of(stored: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
    with reader.stream_reader(stored, read_across_frames=True) as content:
        return content.read()


def frames_of(stored: bytes) -> list[bytes]:
    """Return the frames of a file, decoded one by one."""
    found = []
    while stored:
        parameters = zstandard.get_frame_parameters(stored)
        assert parameters.has_checksum
        frame = zstandard.ZstdDecompressor().decompressobj()
        found.append(frame.decompress(stored))
        assert frame.eof
        assert parameters.content_size == len(found[-1])
        stored = frame.unused_data
    return found


@asynccontextmanager
async def press(root: Path, raw: bytes = RAW) -> AsyncIterator[Press]:
    engine = Engine(asyncio.get_running_loop())
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        at = Press(root, engine, directory)
        at.raw.write_bytes(raw)
        yield at
    finally:
        engine.close()
        os.close(directory)


async def compress_all(compressor: Compressor, raw_ready: int = len(RAW)) -> None:
    while compressor.wants(raw_ready, final=True):
        await compressor.feed(raw_ready, final=True)


def test_every_frame_stands_alone_with_its_size_and_checksum(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            compressor = await at.compressor()
            await compress_all(compressor)
            assert compressor.raw_end == len(RAW)
            assert compressor.stored_end == at.stored.stat().st_size < len(RAW)
            expected = [RAW[i : i + FRAME] for i in range(0, len(RAW), FRAME)]
            assert frames_of(at.stored.read_bytes()) == expected

    asyncio.run(scene())


def test_bytes_of_a_frame_that_is_not_whole_wait_for_more(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            compressor = await at.compressor()
            assert not compressor.wants(FRAME - 1, final=False)
            assert await compressor.feed(FRAME - 1, final=False) == 0
            assert not at.stored.exists()
            ready = await compressor.feed(3 * FRAME - 1, final=False)
            assert compressor.raw_end == 2 * FRAME
            assert not compressor.wants(3 * FRAME - 1, final=False)
            assert await compressor.feed(3 * FRAME - 1, final=False) == ready
            assert compressor.wants(3 * FRAME - 1, final=True)
            await compressor.feed(3 * FRAME - 1, final=True)
            assert at.content(compressor) == RAW[: 3 * FRAME - 1]

    asyncio.run(scene())


def test_one_step_is_bounded_however_much_is_ready(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            compressor = await at.compressor()
            ready = await compressor.feed(len(RAW), final=True)
            assert compressor.raw_end == STEP
            assert at.content(compressor) == RAW[:STEP]
            assert await at.journal.read() == [Frame(STEP, ready)]

    asyncio.run(scene())


def test_an_empty_upload_is_an_empty_frame(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path, b"") as at:
            compressor = await at.compressor()
            assert not compressor.wants(0, final=False)
            assert await compressor.feed(0, final=True) > 0
            assert frames_of(at.stored.read_bytes()) == [b""]
            assert not compressor.wants(0, final=True)

    asyncio.run(scene())


@pytest.mark.parametrize("fed", [0, FRAME, STEP, STEP + FRAME, len(RAW)])
def test_after_a_restart_it_goes_on_behind_the_last_frame(tmp_path: Path, fed: int) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            await at.journal.append(Begin("key", 5, "owner", LEVEL))
            before = await at.compressor()
            while before.wants(fed, final=False):
                await before.feed(fed, final=False)
            shipped = at.stored.read_bytes() if at.stored.exists() else b""
            at.stored.write_bytes(shipped + b"half a frame of the crashed process")
            at.raw.write_bytes(bytes(before.raw_end) + RAW[before.raw_end :])  # punched
            after = await at.compressor()
            assert (after.raw_end, after.stored_end) == (before.raw_end, before.stored_end)
            await compress_all(after)
            assert at.content(after) == RAW
            assert at.stored.read_bytes().startswith(shipped)

    asyncio.run(scene())


def test_an_upload_that_was_finished_before_the_restart_wants_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            await compress_all(await at.compressor())
            assert not (await at.compressor()).wants(len(RAW), final=True)

    asyncio.run(scene())


def test_a_frame_is_journalled_when_its_bytes_are_in_the_file(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            seen: list[tuple[Entry, bytes]] = []

            class Watched(Journal):
                async def append(self, entry: Entry, *, durable: bool = True) -> None:
                    assert durable
                    seen.append((entry, at.stored.read_bytes()))

            journal: Any = Watched.__new__(Watched)
            compressor = Compressor(at.directory, ID, LEVEL, journal)
            await compress_all(compressor)
            for entry, stored in seen:
                assert isinstance(entry, Frame)
                assert content_of(stored[: entry.stored_end]) == RAW[: entry.raw_end]
            assert len(seen) == 3

    asyncio.run(scene())


def test_a_file_that_is_shorter_than_told_is_an_error_and_can_be_tried_again(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with press(tmp_path, RAW[: 2 * FRAME]) as at:
            compressor = await at.compressor()
            with pytest.raises(StoreError):
                await compressor.feed(3 * FRAME, final=False)
            assert (compressor.raw_end, compressor.stored_end) == (0, 0)
            at.raw.write_bytes(RAW)
            await compress_all(compressor)
            assert at.content(compressor) == RAW

    asyncio.run(scene())


def test_a_cancelled_step_ends_with_its_frame_before_the_next_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    write = compress._write
    writes: list[int] = []

    def slow(descriptor: int, start: int, data: bytes) -> None:
        entered.set()
        assert go_on.wait(10)
        writes.append(start)
        write(descriptor, start, data)

    async def scene() -> None:
        async with press(tmp_path) as at:
            compressor = await at.compressor()
            step = asyncio.create_task(compressor.feed(len(RAW), final=True))
            await asyncio.to_thread(entered.wait, 10)
            step.cancel()
            await asyncio.sleep(0)
            step.cancel()  # an impatient one
            with suppress(asyncio.CancelledError):
                await step
            assert (compressor.raw_end, writes) == (0, [])
            again = asyncio.create_task(compressor.feed(len(RAW), final=True))
            await asyncio.sleep(0)
            go_on.set()
            await again
            assert writes.count(0) == 2
            assert len(writes) == 5  # one frame of the first step, four of the second
            await compress_all(compressor)
            assert at.content(compressor) == RAW

    monkeypatch.setattr(compress, "_write", slow)
    asyncio.run(scene())


def test_a_disk_that_fails_is_a_store_error(tmp_path: Path) -> None:
    async def scene() -> None:
        async with press(tmp_path) as at:
            at.stored.mkdir()
            with pytest.raises(StoreError):
                await (await at.compressor()).feed(len(RAW), final=True)

    asyncio.run(scene())


@given(st.integers(0, 50 * FRAME))
def test_what_does_not_compress_stays_within_the_bound(size: int) -> None:
    raw = random.Random(size).randbytes(size)
    zstd = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    starts = range(0, size, FRAME) if size else [0]
    stored = sum(len(zstd.compress(raw[start : start + FRAME])) for start in starts)
    assert stored <= stored_bound(size)


def test_the_bound_holds_for_frames_of_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    raw = random.Random(2).randbytes(compress.FRAME_BYTES)
    stored = len(zstandard.ZstdCompressor(level=1, write_checksum=True).compress(raw))
    assert stored <= stored_bound(len(raw))
