"""One request's bytes on their way into the spool, and on from there while more arrive."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.dataplane import digest_of
from fileloft_fast.errors import TooLargeError, UploadLockedError
from fileloft_fast.flush.sliced import SlicedTransfer
from fileloft_fast.model import Offset, UploadInfo
from fileloft_fast.observe.request import doing
from fileloft_fast.stores.fs.failures import PEER_ERRNOS, store_error

if TYPE_CHECKING:
    from fileloft_fast.dataplane import Transfer
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.found import Found
    from fileloft_fast.flush.mode import Mode
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.stores import Reception
    from fileloft_fast.stores.fs.appender import FsAppender


class SpooledAppender:
    """A spooled file, open from the upload's offset on; see ``stores.Appender``.

    The flusher hears of bytes as they arrive, part by part; of *checked* ones only at the end,
    since nothing may leave before it is verified. For the same reason these never wait for room in
    their middle.
    """

    def __init__(  # noqa: PLR0913 - what the store puts together
        self,
        dock: Dock,
        mode: Mode,
        shipment: Shipment,
        info: UploadInfo,
        inner: FsAppender,
        *,
        checked: bool,
    ) -> None:
        self.received = 0
        self._dock = dock
        self._mode = mode
        self._shipment = shipment
        self._info = info
        self._inner = inner
        self._checked = checked
        self._waiting: asyncio.Task[None] | None = None
        self._cancelled = False
        self._note()

    async def write(self, data: bytes) -> None:
        """Append *data* as soon as there is room; see ``Appender``.

        Raises UploadLockedError after ``cancel``.
        """
        if not (self._checked and self.received):
            await self._wait_for_room()
        pieces = (data,) if self._inner.running is None else self._cut(data)
        for piece in pieces:
            await self._inner.write(piece)
            self.received += len(piece)
            self._note()
            self._arrived(self.received)

    def cancel(self) -> None:
        """End a ``write`` that waits for room."""
        self._cancelled = True
        if self._waiting is not None:
            self._waiting.cancel()

    def receive(
        self, socket: int, length: int, prefix: bytes, *, idle_ms: int, min_rate: int
    ) -> SlicedTransfer:
        """Start to receive, a part at a time; see ``Appender``."""
        base, done = int(self._info.offset) + self.received, self.received
        inner, shipment = self._inner, self._shipment

        def begin(size: int, head: bytes) -> Transfer:
            return inner.receive(socket, size, head, idle_ms=idle_ms, min_rate=min_rate)

        def cut(at: int) -> int:
            part = shipment.part_bytes
            return length if self._checked else ((base + at) // part + 1) * part - base

        def arrived(moved: int) -> None:
            inner.received = self.received = done + moved
            self._note()
            self._arrived(self.received)

        return SlicedTransfer(
            length,
            prefix,
            begin=begin,
            cut=cut,
            room=self._room,
            arrived=arrived,
        )

    async def settle(self, transfer: Reception) -> None:
        """Wait for *transfer*; see ``Appender``."""
        assert isinstance(transfer, SlicedTransfer)
        await transfer.done
        if transfer.failure is not None and not isinstance(transfer.failure, OSError):
            raise transfer.failure
        if transfer.errno not in PEER_ERRNOS:
            raise store_error(OSError(transfer.errno, os.strerror(transfer.errno)))

    async def checksum(self, algorithm: str) -> bytes:
        """See ``Appender``."""
        return await self._inner.checksum(algorithm)

    async def commit(self) -> UploadInfo:
        """Acknowledge as the mode promises; see ``Appender``."""
        async with self._closing():
            info = replace(await self._inner.commit(), modified_at=time.time())
        try:
            self._dock.arrived(self._shipment, info)
            return await self._mode.committed(self._shipment, info)
        finally:
            self._dock.release(self._shipment)

    async def keep(self) -> None:
        """See ``Appender``."""
        async with self._closing():
            await self._inner.keep()
        if self._checked:
            self._forget()
        info = self._with(0 if self._checked else self.received)
        info = replace(info, digests=self._inner.digests)
        try:
            self._dock.arrived(self._shipment, info)
            await self._mode.kept(self._shipment, info)
        finally:
            self._dock.release(self._shipment)

    async def discard(self) -> None:
        """See ``Appender``."""
        try:
            await self._inner.discard()
        finally:
            self._forget()
            await self._discarded()

    @asynccontextmanager
    async def _closing(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            await self._discarded()
            raise

    async def _discarded(self) -> None:
        try:
            await self._mode.discarded(self._shipment)
        finally:
            self._dock.release(self._shipment)

    def _note(self) -> None:
        """Keep what the upload hashes to up to here: it may have to go on from here.

        Where it is compressed nobody could tell which of the store's bytes that is.
        """
        running = self._inner.running
        if running is not None and self._shipment.compressor is None:
            self._shipment.states[running.at] = running.value()

    def _forget(self) -> None:
        """Of bytes that were taken back nothing is kept."""
        states = self._shipment.states
        for end in [end for end in states if end > self._info.offset]:
            del states[end]

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """Cut *data* where parts end: what has left may not be read again, so that it is noted."""
        part, at = self._shipment.part_bytes, 0
        while at < len(data):
            end = at + part - (self._info.offset + self.received) % part
            yield data[at:end]
            at = end

    def _with(self, received: int) -> UploadInfo:
        offset = Offset(self._info.offset + received)
        return replace(self._info, offset=offset, modified_at=time.time())

    def _arrived(self, received: int) -> None:
        if not self._checked:
            info = self._with(received)
            if info.hashes and info.complete:  # it leaves with what it hashes to: see ``commit``
                info = replace(info, awaits_end=True)
            self._dock.arrived(self._shipment, info)

    async def _room(self) -> None:
        with doing("waiting for room"):
            await self._dock.flusher.room.wait(self._shipment)

    async def _wait_for_room(self) -> None:
        if self._cancelled:  # between two pieces, while nothing waited
            raise UploadLockedError("a newer request took the upload over")
        self._waiting = asyncio.ensure_future(self._room())
        try:
            await self._waiting
        except asyncio.CancelledError:
            if self._cancelled:
                raise UploadLockedError("a newer request took the upload over") from None
            raise
        finally:
            self._waiting = None


class FullAppender:
    """Of an upload that has all its bytes, and may have left the spool; takes none."""

    received = 0

    def __init__(self, mode: Mode, found: Found) -> None:
        self._mode = mode
        self._found = found

    async def write(self, data: bytes) -> None:
        """Take nothing; see ``Appender``."""
        if data:
            raise TooLargeError("the upload is complete")

    def receive(
        self, socket: int, length: int, prefix: bytes, *, idle_ms: int, min_rate: int
    ) -> Reception:
        """Refuse: a body with a length was refused before."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Do nothing: nothing waits."""

    async def settle(self, transfer: Reception) -> None:
        """See ``receive``."""
        raise NotImplementedError

    async def checksum(self, algorithm: str) -> bytes:
        """Return the digest of nothing."""
        return digest_of(algorithm, b"")

    async def commit(self) -> UploadInfo:
        """Confirm what was acknowledged before."""
        await self._mode.confirm(self._found)
        return self._found.info

    async def keep(self) -> None:
        """Do nothing."""

    async def discard(self) -> None:
        """Do nothing."""
