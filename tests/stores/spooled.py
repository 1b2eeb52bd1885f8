"""A spooled store in this process, in finish or spool mode, over a bucket in memory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

import fileloft_fast.flush.flusher
import fileloft_fast.flush.patience
from fileloft_fast.config import AckMode, SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.flush import FlushPlan, Spool, SpooledStore, open_store
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.model import (
    ByteStream,
    Checksum,
    Concat,
    FileSlice,
    Offset,
    UploadId,
    UploadInfo,
)
from tests.stores.memory import Bucket, MemoryObjects

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from fileloft_fast.flush.found import Found
    from fileloft_fast.flush.shipment import Shipment

PART: Final = 4096
PREFIX: Final = "in/"


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries follow each other at once."""
    soon = partial(Backoff, first_s=0.001, cap_s=0.002)
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", soon)
    monkeypatch.setattr(fileloft_fast.flush.patience, "Backoff", soon)
    monkeypatch.setattr("fileloft_fast.flush.removal._CLEANING_S", 0.05)


def digests_of(data: bytes, hashes: tuple[str, ...]) -> tuple[Checksum, ...]:
    """Return what *data* hashes to by a second source."""
    return tuple(Checksum(name, hashlib.new(name, data).digest()) for name in hashes)


class Spooled:
    """A process: what it has in memory is lost when it ends, the directory and the bucket stay."""

    def __init__(
        self, engine: Engine, spool: Spool, objects: MemoryObjects, store: SpooledStore
    ) -> None:
        self.engine = engine
        self.spool = spool
        self.objects = objects
        self.store = store
        self.closed = False
        assert spool.flusher is not None
        self.flusher = spool.flusher

    @property
    def bucket(self) -> Bucket:
        return self.objects.bucket

    async def close(self) -> None:
        """Stop, as after SIGTERM."""
        self.closed = True
        await self.store.close()
        self.engine.close()
        self.spool.close()

    async def kill(self) -> None:
        """Stop as after SIGKILL: nothing more leaves, and of what is under way no answer comes."""
        self.objects.faults.down = True
        await self.close()

    async def create(
        self,
        upload: UploadId,
        length: int | None,
        body: bytes = b"",
        concat: Concat = Concat.NONE,
        hashes: tuple[str, ...] = (),
    ) -> None:
        """POST."""
        info = UploadInfo(
            id=upload, offset=Offset(len(body)), length=length, concat=concat, hashes=hashes
        )
        await self.store.create(info, body)

    async def load(self, upload: UploadId) -> Found:
        return await self.store.load(upload)

    async def head(self, upload: UploadId) -> UploadInfo:
        """HEAD."""
        found = await self.store.load(upload)
        if found.info.complete:
            await self.store.confirm(found)
        return found.info

    async def patch(self, upload: UploadId, *pieces: bytes, checked: bool = False) -> UploadInfo:
        """PATCH, which arrives in *pieces*."""
        appender = await self.store.open(await self.store.load(upload), checked=checked)
        try:
            for piece in pieces:
                await appender.write(piece)
        except BaseException:
            await appender.keep()
            raise
        return await appender.commit()

    async def get(self, upload: UploadId, start: int = 0, length: int | None = None) -> bytes:
        """GET."""
        found = await self.store.load(upload)
        assert found.info.complete
        size = found.info.offset - start if length is None else length
        source = await self.store.read(found, start, size)
        if isinstance(source, FileSlice):
            content = await self.engine.read(source.descriptor, source.length, source.start)
            await self.engine.close_file(source.descriptor, 0)
            return content
        assert isinstance(source, ByteStream)
        async with contextlib.aclosing(source.pieces) as pieces:
            return b"".join([piece async for piece in pieces])

    def shipment(self, upload: UploadId) -> Shipment:
        return self.flusher.shipments[upload]

    def files(self, upload: UploadId) -> list[str]:
        """Return the files of *upload* in the spool."""
        names = os.listdir(self.spool.directory)  # noqa: PTH208 - a descriptor
        return sorted(name for name in names if name.startswith(upload))

    def content(self, upload: UploadId) -> bytes | None:
        """Return the object, None where there is none."""
        stored = self.bucket.objects.get(PREFIX + upload)
        return None if stored is None else stored.content

    @contextlib.contextmanager
    def hasty(self) -> Iterator[None]:
        """Let requests wait for the bucket for a moment only."""
        before, self.flusher.patience_s = self.flusher.patience_s, 0.05
        yield
        self.flusher.patience_s = before

    async def settled(self, within_s: float = 20.0) -> None:
        """Wait until nothing is left to be shipped."""
        await until(lambda: not self.flusher.shipments, within_s)


async def until(reached: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until *reached* is true, for at most *within_s*."""
    async with asyncio.timeout(within_s):
        while not reached():  # noqa: ASYNC110 - what it asks tells nobody
            await asyncio.sleep(0.001)


async def start(
    root: Path, bucket: Bucket, plan: FlushPlan | None = None, *, down: bool = False
) -> Spooled:
    """Start a process on the directory *root*; with *down* it does not reach the bucket."""
    plan = FlushPlan() if plan is None else plan
    plan = replace(plan, prefix=PREFIX, part_bytes=PART)
    sync = SyncMode.COMPLETE if plan.ack is AckMode.SPOOL else SyncMode.NONE
    engine = Engine(asyncio.get_running_loop())
    objects = MemoryObjects(bucket)
    objects.faults.down = down
    spool = Spool(engine, str(root), sync=sync)
    return Spooled(engine, spool, objects, await open_store(spool, objects, plan))


@contextlib.asynccontextmanager
async def spooled(
    root: Path, bucket: Bucket | None = None, plan: FlushPlan | None = None, *, down: bool = False
) -> AsyncIterator[Spooled]:
    """Run a process on the directory *root*; see ``start``."""
    process = await start(root, Bucket() if bucket is None else bucket, plan, down=down)
    try:
        yield process
    finally:
        if not process.closed:
            await process.close()
