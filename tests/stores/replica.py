"""One replica in chunk mode, in this process: its own spool and client, a bucket that is shared."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final

import fileloft_fast.flush.flusher
import fileloft_fast.flush.patience
from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import OffsetConflictError
from fileloft_fast.flush.carrier import Carrier
from fileloft_fast.flush.checkpoint import Checkpoints
from fileloft_fast.flush.chunk import ChunkMode
from fileloft_fast.flush.dock import Dock
from fileloft_fast.flush.flusher import Flusher
from fileloft_fast.flush.record_ledger import RecordLedger
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.flush.shelf import Shelf
from fileloft_fast.flush.spool import Spool
from fileloft_fast.flush.spool_room import SpoolLimits, SpoolRoom
from fileloft_fast.flush.store import SpooledStore
from fileloft_fast.model import ByteStream, Offset, UploadId, UploadInfo
from tests.stores.memory import Bucket, MemoryObjects

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from fileloft_fast.stores.remote.objects import Objects

PART: Final = 4096
PREFIX: Final = "in/"


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries follow each other at once."""
    soon = partial(Backoff, first_s=0.001, cap_s=0.002)
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", soon)
    monkeypatch.setattr(fileloft_fast.flush.patience, "Backoff", soon)


class Replica:
    """A store in chunk mode, asked as the service asks it by the holder of the upload's lock."""

    def __init__(
        self,
        bucket: Bucket,
        root: Path,
        *,
        patience_s: float = 5.0,
        note_s: float = 60.0,
        shelf_most: int = 16,
        objects: Objects | None = None,
    ) -> None:
        self.root = root
        self.memory = MemoryObjects(bucket)
        self.objects = self.memory if objects is None else objects
        self._engine = Engine(asyncio.get_running_loop())
        self.spool = Spool(self._engine, str(root), sync=SyncMode.NONE)
        checkpoints = Checkpoints(self.objects, PREFIX, clock=lambda: 1000.0)
        self.shelf = Shelf(self.spool, most=shelf_most, most_bytes=1024**3)
        self.ledger = RecordLedger(checkpoints, self.shelf, note_s=note_s)
        self.flusher = Flusher(
            Carrier(self.spool, self.objects, self.ledger),
            SpoolRoom(SpoolLimits(parts_each=3), self.spool.free_bytes),
            parts_at_once=4,
            patience_s=patience_s,
        )
        self.spool.flusher = self.flusher
        self.dock = Dock(
            self.spool, self.objects, self.flusher, prefix=PREFIX, part_bytes=PART, max_size=0
        )
        self.mode = ChunkMode(self.dock, self.ledger, ttl_s=None)
        self.store = SpooledStore(self.dock, self.mode, sweep=self._nothing)

    async def _nothing(self) -> int:
        return 0

    async def close(self) -> None:
        """Stop, as after SIGTERM."""
        await self.store.close()
        self._engine.close()
        self.spool.close()

    async def kill(self) -> None:
        """Stop as after SIGKILL: nothing more leaves, and of what is under way no answer comes."""
        self.memory.faults.down = True
        await self.close()

    async def create(self, upload: UploadId, length: int | None, body: bytes = b"") -> None:
        """POST."""
        info = UploadInfo(id=upload, offset=Offset(len(body)), length=length)
        await self.store.create(info, body)

    async def head(self, upload: UploadId) -> UploadInfo:
        """HEAD."""
        return (await self.store.load(upload)).info

    async def patch(
        self,
        upload: UploadId,
        offset: int,
        body: bytes,
        *,
        length: int | None = None,
        pieces: int = 1,
        checked: bool = False,
        cut: bool = False,
    ) -> int:
        """PATCH; return the new offset. *cut*: the connection ends behind *body*."""
        try:
            return await self._patch(upload, offset, body, length, pieces, checked=checked, cut=cut)
        except Exception:
            assert upload not in self.flusher.shipments, "a request that failed goes on"
            assert upload not in self.ledger.courses
            raise

    async def _patch(
        self,
        upload: UploadId,
        offset: int,
        body: bytes,
        length: int | None,
        pieces: int,
        *,
        checked: bool,
        cut: bool,
    ) -> int:
        found = await self.store.load(upload)
        if found.info.offset != offset:
            raise OffsetConflictError(expected=found.info.offset, got=offset)
        if length is not None:
            found = await self.store.declare_length(found, length)
        appender = await self.store.open(found, checked=checked)
        size = max(1, -(-len(body) // pieces))
        try:
            for at in range(0, len(body), size):
                await appender.write(body[at : at + size])
        except BaseException:
            await appender.keep()
            raise
        if cut:
            await appender.keep()
            return -1
        return int((await appender.commit()).offset)

    async def content(self, upload: UploadId) -> bytes:
        """GET."""
        found = await self.store.load(upload)
        stream = await self.store.read(found, 0, int(found.info.offset))
        assert isinstance(stream, ByteStream)
        async with contextlib.aclosing(stream.pieces):
            return b"".join([piece async for piece in stream.pieces])


@contextlib.asynccontextmanager
async def replicas(bucket: Bucket, *roots: Path) -> AsyncIterator[tuple[Replica, ...]]:
    """Open a replica in each of *roots*."""
    opened = tuple(Replica(bucket, root) for root in roots)
    try:
        yield opened
    finally:
        for replica in opened:
            await replica.close()
