"""The file-system store beside requests: marks, lengths, records, syncs that fail, scans."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import StoreError, UploadExistsError, UploadNotFoundError
from fileloft_fast.model import UPLOAD_ID_PATTERN, Offset, UploadId, UploadInfo
from fileloft_fast.stores import FsStore
from fileloft_fast.stores.fs import listing
from tests.native.denial import run_denied

if TYPE_CHECKING:
    from pathlib import Path

    from tests.native.yard import Yard

ID: Final = UploadId("a" * 32)
FILELOFT: Final = {
    "id": ID,
    "size": 100,
    "offset": 4,
    "metadata": {"filename": "a.txt"},
    "size_is_deferred": False,
    "is_partial": False,
    "is_final": False,
    "storage": {},
}


def info_of(length: int | None) -> UploadInfo:
    return UploadInfo(id=ID, offset=Offset(0), length=length)


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[FsStore]:
    """Open a store in *root*, with an engine of its own."""
    engine = Engine(asyncio.get_running_loop())
    store = FsStore(engine, str(root), sync=SyncMode.COMPLETE)
    try:
        yield store
    finally:
        engine.close()
        store.close()


async def crash_in_a_checked_chunk(store: FsStore, unverified: bytes) -> None:
    """Leave what a kill leaves: bytes behind the mark, and the mark."""
    found = await store.load(ID)
    appender = await store.open(found, checked=True, algorithm="sha1")
    await appender.write(unverified)
    os.close(appender._descriptor)


def test_a_mark_that_follows_a_declared_length_lies_in_its_place(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as store:
            await store.create(info_of(None), b"")
            found = await store.declare(await store.load(ID), 1_048_576)
            appender = await store.open(found, checked=True, algorithm="sha1")
            await appender.write(b"x" * 100)
            assert (await store.load(ID)).info.offset == 0
            await appender.commit()
            after = (await store.load(ID)).info
            assert (after.offset, after.length) == (100, 1_048_576)

    asyncio.run(scene())


def test_a_declared_length_leaves_nothing_visible_that_a_crash_left_unverified(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as store:
            await store.create(info_of(None), b"kept")
            await crash_in_a_checked_chunk(store, b"x" * 100)
            found = await store.declare(await store.load(ID), 1000)
            assert (await store.load(ID)).info.offset == 4
            assert (tmp_path / ID).read_bytes() == b"kept"
            assert (await store.append(found, b"more")).offset == 8
            after = (await store.load(ID)).info
            assert (after.offset, after.length) == (8, 1000)

    asyncio.run(scene())


@pytest.mark.parametrize("length", [None, 4])
def test_bytes_alone_do_not_complete_an_upload_that_awaits_its_end(
    tmp_path: Path, length: int | None
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as store:
            await store.create(info_of(length), b"")
            await store.declare(await store.load(ID), 4, awaits_end=True)
            await store.append(await store.load(ID), b"full")
            found = await store.load(ID)
            assert (found.info.offset, found.info.complete) == (4, False)
            assert not (await store.append(found, b"")).complete
            assert (await store.declare(found, 4)).info.complete
            found = await store.load(ID)
            assert found.info.complete
            assert (await store.append(found, b"")).complete

    asyncio.run(scene())


def test_a_record_that_fileloft_wrote_gets_a_place_for_the_mark(tmp_path: Path) -> None:
    async def scene() -> None:
        (tmp_path / ID).write_bytes(b"kept")
        (tmp_path / f"{ID}.info").write_text(json.dumps(FILELOFT), encoding="utf-8")
        async with opened(tmp_path) as store:
            found = await store.load(ID)
            appender = await store.open(found, checked=True, algorithm="sha1")
            await appender.write(b"more")
            assert (await store.load(ID)).info.offset == 4
            await appender.commit()
            after = (await store.load(ID)).info
            assert (after.offset, after.length) == (8, 100)
            assert after.metadata == found.info.metadata

    asyncio.run(scene())


def test_an_empty_record_is_no_upload(tmp_path: Path) -> None:
    """What XFS has after a power cut; clients begin anew only after 404."""

    async def scene() -> None:
        (tmp_path / ID).write_bytes(b"")
        (tmp_path / f"{ID}.info").write_bytes(b"")
        async with opened(tmp_path) as store:
            with pytest.raises(UploadNotFoundError):
                await store.load(ID)

    asyncio.run(scene())


@pytest.mark.parametrize("how", ["commit", "keep"])
def test_a_full_upload_that_cannot_be_synced_is_cut_back(tmp_path: Path, how: str) -> None:
    """The kernel drops the pages after it has told of EIO once: they cannot be promised later."""

    async def scenario(yard: Yard) -> None:
        store = FsStore(yard.engine, str(tmp_path), sync=SyncMode.COMPLETE)
        yard.stack.callback(store.close)
        await store.create(info_of(10), b"kept")
        appender = await store.open(await store.load(ID))
        await appender.write(b"123456")
        with pytest.raises(StoreError):
            await (appender.commit() if how == "commit" else appender.keep())
        assert (await store.load(ID)).info.offset == 4
        assert (tmp_path / ID).read_bytes() == b"kept"

    run_denied(tmp_path, "fdatasync", errno.EIO, scenario)


def test_a_chunk_that_cannot_be_synced_as_promised_is_cut_back(tmp_path: Path) -> None:
    """FILELOFT_SYNC=chunk promises every answer, also that to a short body in one step."""

    async def scenario(yard: Yard) -> None:
        store = FsStore(yard.engine, str(tmp_path), sync=SyncMode.NONE)
        yard.stack.callback(store.close)
        await store.create(info_of(10), b"kept")
        store.sync = SyncMode.CHUNK
        with pytest.raises(StoreError):
            await store.append(await store.load(ID), b"12345")
        assert (await store.load(ID)).info.offset == 4
        assert (tmp_path / ID).read_bytes() == b"kept"

    run_denied(tmp_path, "fdatasync", errno.EIO, scenario)


def test_a_part_that_is_kept_needs_no_sync(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        store = FsStore(yard.engine, str(tmp_path), sync=SyncMode.COMPLETE)
        yard.stack.callback(store.close)
        await store.create(info_of(10), b"kept")
        appender = await store.open(await store.load(ID))
        await appender.write(b"12345")
        await appender.keep()
        assert (await store.load(ID)).info.offset == 9

    run_denied(tmp_path, "fdatasync", errno.EIO, scenario)


def test_one_process_at_a_time_owns_the_directory(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as later:
            async with opened(tmp_path) as first:
                assert first.try_own()
                assert not later.try_own()
            assert later.try_own()

    asyncio.run(scene())


def test_those_that_lock_each_upload_share_the_directory_with_nobody_else(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as one, opened(tmp_path) as other, opened(tmp_path) as before:
            assert one.try_own(alone=False)
            assert other.try_own(alone=False)
            assert not before.try_own()

    asyncio.run(scene())


class Listing:
    """A directory whose opening and reading take until *gate* is open; *slow* names which."""

    def __init__(self, slow: str) -> None:
        self.closed = False
        self.gate = threading.Event()
        self.waits = asyncio.Event()
        self._slow = slow
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Iterator[Any]:
        return self._entries()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True

    def open(self, _: object) -> Listing:
        self._wait("open")
        return self

    def _entries(self) -> Iterator[Any]:
        self._wait("read")
        yield from ()

    def _wait(self, step: str) -> None:
        if step == self._slow:
            self._loop.call_soon_threadsafe(self.waits.set)
            self.gate.wait(10)


@pytest.mark.parametrize("slow", ["open", "read"])
def test_a_scan_that_is_cancelled_closes_the_directory_after_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """To close it under the thread that reads it would crash the process."""

    async def scan(store: FsStore) -> None:
        async for _ in store.names():
            raise AssertionError

    async def scene() -> None:
        directory = Listing(slow)
        monkeypatch.setattr(os, "scandir", directory.open)
        async with opened(tmp_path) as store:
            scanning = asyncio.create_task(scan(store))
            await directory.waits.wait()
            scanning.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            closed_early = directory.closed
            directory.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await scanning
            assert not closed_early
            assert directory.closed

    asyncio.run(scene())


def test_a_look_that_is_cancelled_closes_the_directory_after_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file may have the descriptor's number by then."""
    gate, read = threading.Event(), list[int]()

    async def scene() -> None:
        loop, waits = asyncio.get_running_loop(), asyncio.Event()

        def wait(directory: int, *_: float) -> None:
            read.append(directory)
            loop.call_soon_threadsafe(waits.set)
            gate.wait(10)
            os.fstat(directory)  # OSError where it is closed

        async def scan(store: FsStore) -> None:
            async for _ in store.aged(0.0, 1.0):
                raise AssertionError

        monkeypatch.setattr(listing, "read_aged", wait)
        async with opened(tmp_path) as store:
            scanning = asyncio.create_task(scan(store))
            await waits.wait()
            scanning.cancel()
            for _ in range(10):
                await asyncio.sleep(0)
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await scanning
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(read[0])

    asyncio.run(scene())


def test_a_final_upload_does_not_take_the_place_of_another(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as store:
            await store.create(info_of(2), b"hi")
            found = await store.load(ID)
            with pytest.raises(UploadExistsError):
                await store.concatenate(info_of(2), [found])
            assert (await store.load(ID)).info.length == 2

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["a", "Z-_9", "a" * 128, "9"])
def test_a_look_comes_by_whatever_an_id_may_be(tmp_path: Path, name: str) -> None:
    assert re.fullmatch(UPLOAD_ID_PATTERN, name)
    assert seen_of(tmp_path, name) == [name]


@pytest.mark.parametrize("name", ["-a", "_", "a.info", "a b", "a" * 129, "\u00e4", ".since"])
def test_a_look_passes_over_what_no_id_may_be(tmp_path: Path, name: str) -> None:
    assert not re.fullmatch(UPLOAD_ID_PATTERN, name)
    assert seen_of(tmp_path, name) == []


def seen_of(root: Path, name: str) -> list[str]:
    """Return what a look at everything finds in a directory with a file *name*, and a folder."""
    (root / name).touch()
    (root / "folder").mkdir()

    async def scene() -> list[str]:
        async with opened(root) as store:
            return [each async for look in store.aged(0.0, 1e10) for each in look.uploads]

    return asyncio.run(scene())


@pytest.mark.parametrize(
    ("written_at", "wanted"), [(99.0, False), (100.0, True), (200.0, True), (201.0, False)]
)
def test_uploads_are_told_apart_by_when_their_last_byte_came(
    tmp_path: Path, written_at: float, *, wanted: bool
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as store:
            await store.create(info_of(2), b"h")
            os.utime(tmp_path / ID, (0, written_at))
            (tmp_path / "b").touch()  # of no upload, with another time
            os.utime(tmp_path / "b", (0, 50.0))
            (tmp_path / "no.upload").touch()
            looks = [look async for look in store.aged(100.0, 200.0)]
            assert sum(look.seen for look in looks) == 1
            assert [each for look in looks for each in look.uploads] == [ID] * wanted

    asyncio.run(scene())


def test_a_look_at_many_uploads_comes_by_each_of_them_once(tmp_path: Path) -> None:
    names = {f"{number:0100}" for number in range(5000)}  # more than one slice
    for name in names:
        (tmp_path / name).touch()

    async def scene() -> None:
        async with opened(tmp_path) as store:
            looks = [look async for look in store.aged(0.0, float("inf"))]
        assert len(looks) > 1
        found = [each for look in looks for each in look.uploads]
        assert len(found) == len(names)
        assert set(found) == names

    asyncio.run(scene())
