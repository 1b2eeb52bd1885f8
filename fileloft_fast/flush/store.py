"""Uploads that land in a spool and are kept in an object store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import RemoteUnavailableError, StoreError
from fileloft_fast.flush.appender import FullAppender, SpooledAppender
from fileloft_fast.flush.concatenation import Concatenation
from fileloft_fast.flush.download import Downloads
from fileloft_fast.flush.found import Found, RemoteFound, SpoolFound
from fileloft_fast.stores import Look
from fileloft_fast.stores.appending import append_at_once
from fileloft_fast.stores.fs.hashing import begun
from fileloft_fast.stores.running import Running

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.mode import Mode
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.model import ByteStream, Checksum, FileSlice, UploadId, UploadInfo

_LOAD_AGAIN_S: Final = (0.1, 0.3)
"""Every request begins with a look: a store that is busy for a moment must not turn it away."""


class SpooledStore:
    """A ``Store``: the spool takes the bytes, the flusher ships them, *mode* says what is promised.

    *sweep* takes away what belongs to no upload, and *redirect_ttl_s* is how long a URL is good by
    which clients get objects from the bucket themselves; 0 for none. *owner* names the spool where
    unfinished uploads are this spool's.
    """

    def __init__(
        self,
        dock: Dock,
        mode: Mode,
        *,
        sweep: Callable[[], Awaitable[int]],
        redirect_ttl_s: int = 0,
        owner: str = "",
    ) -> None:
        self._dock = dock
        self._spool = dock.spool
        self._mode = mode
        self._downloads = Downloads(dock, mode)
        self._concatenation = Concatenation(dock, mode, self._downloads, owner=owner)
        self._sweep = sweep
        self._redirect_ttl_s = redirect_ttl_s

    async def close(self) -> None:
        """Ship nothing more; what is in flight is cancelled. Before the engine is closed."""
        await self._dock.flusher.stop()
        await self._mode.stop()

    @property
    def guarded(self) -> bool:
        """See ``Store``."""
        return self._mode.guarded

    async def create(self, info: UploadInfo, body: bytes) -> None:
        """Make it in the spool, then promise it; see ``Store``. TooLargeError."""
        self._dock.plan(info.length)
        await self._spool.create(info, body)
        try:
            await self._mode.created(*await begun(self._spool, info))
        except BaseException:
            await self._mode.remove(info.id)
            raise

    async def load(self, upload: UploadId) -> Found:
        """See ``Store``. A bucket that fails is asked again, one that is silent is not waited for.

        Raises RemoteUnavailableError.
        """
        try:
            async with asyncio.timeout(self._dock.flusher.patience_s):
                for pause_s in _LOAD_AGAIN_S:
                    try:
                        return await self._mode.load(upload)
                    except RemoteUnavailableError:
                        await asyncio.sleep(pause_s)
                return await self._mode.load(upload)
        except TimeoutError as error:
            raise RemoteUnavailableError("the object store did not answer in time") from error

    async def declare(self, found: Found, length: int | None, *, awaits_end: bool = False) -> Found:
        """See ``Store``. TooLargeError."""
        self._dock.plan(length)
        opened = await self._mode.opened(found)
        local = await self._spool.declare(opened.local, length, awaits_end=awaits_end)
        if local.info.complete and self._spool.promised(local.info) != SYNC_NONE:
            await self._spool.append(local, b"")  # syncs what earlier requests did not have to
        # Also where no bytes follow: this alone may make the upload complete.
        shipment = self._dock.shipment(local.info, ships=self._mode.ships(local.info))
        self._dock.arrived(shipment, local.info)
        self._dock.release(shipment)
        return await self._mode.declared(SpoolFound(local.info, local))

    async def append(self, found: Found, body: bytes) -> UploadInfo:
        """See ``Store``."""
        if found.info.complete:
            await self._mode.confirm(found)
            return found.info
        if found.info.hashes:
            return await append_at_once(await self.open(found), body)
        opened, shipment = await self._opened(found)
        async with self._discarding(shipment):
            await self._dock.flusher.room_for(shipment)
            info = await self._spool.append(opened.local, body)
        info = replace(info, modified_at=time.time())
        try:
            self._dock.arrived(shipment, info)
            return await self._mode.committed(shipment, info)
        finally:
            self._dock.release(shipment)

    async def open(
        self, found: Found, *, checked: bool = False, algorithm: str | None = None
    ) -> SpooledAppender | FullAppender:
        """See ``Store``."""
        if found.info.complete:
            return FullAppender(self._mode, found)
        opened, shipment = await self._opened(found)
        async with self._discarding(shipment):
            inner = await self._spool.open(opened.local, checked=checked, algorithm=algorithm)
        return SpooledAppender(
            self._dock, self._mode, shipment, opened.info, inner, checked=checked
        )

    async def digests(self, found: Found) -> tuple[Checksum, ...]:
        """See ``Store``."""
        if isinstance(found, SpoolFound) and not found.info.digests:
            return await self._spool.digests(found.local)
        info, digests = found.info, found.info.digests
        if isinstance(found, RemoteFound) and not info.complete:
            running = Running.maybe_restored(info.hashes, found.record.running)
            digests = running.checksums() if running and running.at == info.offset else ()
        if len(digests) < len(info.hashes):
            raise StoreError("the hash of bytes that are here no more is lost")
        return digests

    async def concatenate(self, info: UploadInfo, parts: Sequence[Found]) -> UploadInfo:
        """See ``Store``. TooLargeError."""
        return await self._concatenation.make(info, parts)

    async def remove(self, upload: UploadId) -> bool:
        """See ``Store``."""
        return await self._mode.remove(upload)

    async def confirm(self, found: Found) -> None:
        """See ``Store``."""
        await self._mode.confirm(found)

    async def read(self, found: Found, start: int, length: int) -> FileSlice | ByteStream:
        """See ``Store``."""
        return await self._downloads.open(found, start, length)

    async def locate(self, found: Found) -> str | None:
        """Return a signed URL; None where the object is not there yet, or is compressed.

        Not every client decodes zstd, and nobody can tell in advance which one follows a URL.
        """
        if not self._redirect_ttl_s or not self._is_plain_object(found):
            return None
        return await self._dock.objects.sign(self._dock.key(found.info.id), self._redirect_ttl_s)

    async def free_bytes(self) -> int:
        """See ``Store``."""
        return await self._spool.free_bytes()

    def names(self) -> AsyncIterator[UploadId]:
        """See ``Store``."""
        return self._mode.names()

    async def aged(self, since: float, until: float) -> AsyncIterator[Look]:  # noqa: ARG002 - the protocol
        """Name them all: a file's time says nothing where holes are punched; see ``Store``."""
        async for upload in self._mode.names():
            yield Look(1, (upload,))

    async def tidy(self) -> int:
        """See ``Store``."""
        return await self._spool.tidy() + await self._sweep()

    @asynccontextmanager
    async def _discarding(self, shipment: Shipment) -> AsyncIterator[None]:
        """Let go of *shipment* where nothing comes of the request."""
        try:
            yield
        except BaseException:
            await self._mode.discarded(shipment)
            self._dock.release(shipment)
            raise

    async def _opened(self, found: Found) -> tuple[SpoolFound, Shipment]:
        opened = await self._mode.opened(found)
        shipment = self._dock.shipment(opened.info, ships=self._mode.ships(opened.info))
        self._dock.arrived(shipment, opened.info)
        return opened, shipment

    def _is_plain_object(self, found: Found) -> bool:
        if isinstance(found, RemoteFound):
            return not found.record.encoding
        shipment = self._dock.flusher.shipments.get(found.info.id)
        return shipment is not None and shipment.stored is not None and not shipment.zstd
