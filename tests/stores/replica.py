"""One replica in chunk mode, in this process: its own spool and client, a bucket that is shared."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import fileloft_fast.flush.flusher
import fileloft_fast.flush.patience
import fileloft_fast.flush.store
from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import OffsetConflictError
from fileloft_fast.flush.carrier import Carrier
from fileloft_fast.flush.checkpoint import Checkpoints
from fileloft_fast.flush.chunk import ChunkMode
from fileloft_fast.flush.dock import Dock
from fileloft_fast.flush.flusher import Flusher
from fileloft_fast.flush.record import Record, parse_record, record_key
from fileloft_fast.flush.record_ledger import RecordLedger
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.flush.shelf import Shelf
from fileloft_fast.flush.spool import Spool
from fileloft_fast.flush.spool_room import SpoolLimits, SpoolRoom
from fileloft_fast.flush.store import SpooledStore
from fileloft_fast.model import ByteStream, Offset, UploadId, UploadInfo
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket, MemoryObjects

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from fileloft_fast.stores.remote.objects import Objects

PART: Final = 4096
PREFIX: Final = "in/"
ID: Final = UploadId("0123456789abcdef" * 2)
KEY: Final = PREFIX + ID
KINDS: Final = ("parallel", "sequential", "blocks")


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries follow each other at once."""
    soon = partial(Backoff, first_s=0.001, cap_s=0.002)
    monkeypatch.setattr(fileloft_fast.flush.flusher, "Backoff", soon)
    monkeypatch.setattr(fileloft_fast.flush.patience, "Backoff", soon)
    monkeypatch.setattr(fileloft_fast.flush.store, "_LOAD_AGAIN_S", (0.001, 0.001))


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

    async def create(
        self,
        upload: UploadId,
        length: int | None,
        body: bytes = b"",
        hashes: tuple[str, ...] = (),
    ) -> None:
        """POST."""
        info = UploadInfo(id=upload, offset=Offset(len(body)), length=length, hashes=hashes)
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
        if length is not None and found.info.length is None:
            found = await self.store.declare(found, length)
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


def bucket_of(kind: str) -> Bucket:
    """Return a bucket as S3, Google or Azure has them."""
    if kind == "sequential":
        return Bucket(SEQUENTIAL, unique_tags=True)
    return Bucket(PARALLEL, block_ids=kind == "blocks")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 120))


def content(size: int) -> bytes:
    return bytes(i * 7 % 251 for i in range(size))


def record_in(bucket: Bucket) -> Record:
    record = parse_record(bucket.objects[record_key(PREFIX, ID)].content, ID)
    assert record is not None
    return record


async def killed(replica: Replica, *requests: asyncio.Task[Any]) -> None:
    """End *replica* as SIGKILL does, with what it is at."""
    for request in requests:
        request.cancel()
    await replica.kill()
    await asyncio.gather(*requests, return_exceptions=True)


async def settled(replica: Replica) -> None:
    """Wait for what *replica* deletes in the background."""
    while replica.ledger._dropping:
        await asyncio.wait(tuple(replica.ledger._dropping))


async def settled_parts(replica: Replica) -> None:
    """Wait until every part that may leave has left."""
    for shipment in replica.flusher.shipments.values():
        await replica.flusher.drained(shipment, shipment.sendable_end)


async def settled_upload(replica: Replica) -> None:
    """Wait until a finished upload has left the spool."""
    shipment = replica.flusher.shipments[ID]
    await replica.flusher.until(shipment, lambda: shipment.settled)


async def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no room")
