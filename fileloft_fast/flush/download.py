"""Finished uploads on their way out: from the spool while it has them whole, else the object."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from fileloft_fast.errors import NotStoredError, ObjectNotFoundError, UploadNotFoundError
from fileloft_fast.flush.found import Found, RemoteFound
from fileloft_fast.flush.inflate import inflated
from fileloft_fast.model import ByteStream, FileSlice

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.mode import Mode
    from fileloft_fast.model import UploadId


class Downloads:
    """Opens finished uploads for reading."""

    def __init__(self, dock: Dock, mode: Mode) -> None:
        self._dock = dock
        self._mode = mode

    async def open(self, found: Found, start: int, length: int) -> FileSlice | ByteStream:
        """See ``Store.read``."""
        if isinstance(found, RemoteFound):
            return await self._open_remote(found, start, length)
        self._dock.quarantine.check(found.info.id)
        shipment = self._dock.flusher.shipments.get(found.info.id)
        if shipment is not None and shipment.has_holes:
            stored = shipment.stored
            if stored is None:
                raise NotStoredError("the upload is on its way to the store")
            packed = stored.size if shipment.zstd else None
            return await self._stream(found.info.id, start, length, packed)
        if shipment is not None:
            shipment.kept = True  # a hole under the reader would be sent as zeros
        try:
            return await self._dock.spool.read(found.local, start, length)
        except UploadNotFoundError:
            # Stored since it was found, and gone from the spool.
            again = await self._mode.load(found.info.id)
            if not isinstance(again, RemoteFound):
                raise
            return await self._open_remote(again, start, length)

    async def _open_remote(self, found: RemoteFound, start: int, length: int) -> ByteStream:
        packed = found.record.object_bytes if found.record.encoding else None
        return await self._stream(found.info.id, start, length, packed)

    async def _stream(
        self, upload: UploadId, start: int, length: int, packed: int | None
    ) -> ByteStream:
        """Open the object, of *packed* bytes where it is compressed."""
        objects, key = self._dock.objects, self._dock.key(upload)
        if packed is None:
            source = objects.get(key, start, length)
        else:
            source = inflated(objects.get(key, 0, packed), start, length)
        try:
            return await open_stream(length, source)
        except ObjectNotFoundError as error:
            raise UploadNotFoundError("no such upload") from error


async def open_stream(length: int, source: AsyncGenerator[bytes, None]) -> ByteStream:
    """Return the *length* bytes of *source* once the first are there, or raise what it raises."""
    pieces = _opened(source)
    await anext(pieces)
    return ByteStream(length, pieces)


async def _opened(source: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield b"" when the first piece is there, then all of them; closes *source*.

    A generator that was never asked for anything does not run its clean-up when it is closed.
    """
    async with contextlib.aclosing(source):
        first = await anext(source, b"")
        yield b""
        yield first
        async for piece in source:
            yield piece
