"""One request's bytes on their way into an upload's data file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, SYNC_NONE, Digest, Transfer
from fileloft_fast.errors import StoreError
from fileloft_fast.model import Checksum, Offset, UploadInfo
from fileloft_fast.stores.fs.failures import PEER_ERRNOS, store_error
from fileloft_fast.stores.fs.hashing import keep_running
from fileloft_fast.stores.fs.info_file import NO_MARK

if TYPE_CHECKING:
    from fileloft_fast.stores.fs.found import FsFound
    from fileloft_fast.stores.fs.store import FsStore
    from fileloft_fast.stores.running import Running
    from fileloft_fast.stores.store import Reception


class FsAppender:
    """The data file, open from the upload's offset on; see ``stores.Appender``."""

    __slots__ = (
        "_checked", "_descriptor", "_digest", "_feed", "_found", "_store", "_transfer", "digests",
        "received", "running",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - what the store puts together
        self,
        store: FsStore,
        found: FsFound,
        descriptor: int,
        *,
        checked: bool,
        algorithm: str | None,
        running: Running | None = None,
    ) -> None:
        self.received = 0
        self.running = running
        """What all the bytes of the upload hash to, where that is wanted and known."""
        self.digests: tuple[Checksum, ...] = ()
        """Those of a complete upload, at last."""
        self._store = store
        self._found = found
        self._descriptor = descriptor
        self._checked = checked
        self._digest = self._feed = None if algorithm is None else Digest(algorithm)
        self._transfer: Transfer | None = None
        if running is not None:
            self.running = running if self._digest is None else running.fed_with(self._digest)
            self._feed = self.running.feed

    async def write(self, data: bytes) -> None:
        """Append *data*; see ``Appender``."""
        at = self._found.info.offset + self.received
        try:
            await self._store.engine.write(self._descriptor, data, at, self._feed)
        except OSError as error:
            raise store_error(error) from error
        self.received += len(data)

    def cancel(self) -> None:
        """Do nothing: a disk is never waited for long; see ``Appender``."""

    def receive(
        self, socket: int, length: int, prefix: bytes, *, idle_ms: int, min_rate: int
    ) -> Transfer:
        """Start a transfer of the engine; see ``Appender``."""
        self._transfer = self._store.engine.receive(
            socket,
            self._descriptor,
            self._found.info.offset + self.received,
            length,
            prefix=prefix,
            digest=self._feed,
            idle_ms=idle_ms,
            min_rate=min_rate,
            # Early writeback makes the sync at the end short; without a sync it is only work.
            writeback=self._store.sync is not SyncMode.NONE,
        )
        return self._transfer

    async def settle(self, transfer: Reception) -> None:
        """Wait for *transfer* and count its bytes; see ``Appender``."""
        self.received += await transfer.done
        if transfer.errno not in PEER_ERRNOS:
            raise store_error(OSError(transfer.errno, os.strerror(transfer.errno)))

    async def checksum(self, algorithm: str) -> bytes:
        """Return the digest of everything appended; see ``Appender``."""
        if self._digest is not None and self._digest.algorithm == algorithm:
            return self._digest.digest()
        start = self._found.info.offset
        try:
            return await self._store.engine.checksum(
                self._descriptor, start, self.received, algorithm
            )
        except OSError as error:
            raise store_error(error) from error

    async def find(self, needle: bytes, start: int, end: int) -> int:
        """Return where *needle* first is within a range of what was appended; -1 where nowhere.

        Also of what a transfer has stored that is not over. Raises StoreError.
        """
        base = self._found.info.offset
        try:
            place = await self._store.engine.find(
                self._descriptor, needle, base + start, end - start
            )
        except OSError as error:
            raise store_error(error) from error
        return place if place < 0 else place - base

    async def read(self, start: int, length: int) -> bytes:
        """Return what was appended from *start* on, *length* bytes at most. Raises StoreError."""
        length = max(0, min(length, self.received - start))
        at = self._found.info.offset + start
        try:
            return await self._store.engine.read(self._descriptor, length, at)
        except OSError as error:
            raise store_error(error) from error

    async def cut(self, size: int) -> None:
        """Keep the first *size* bytes of what was appended. Raises StoreError."""
        store, info = self._store, self._found.info
        try:
            await store.engine.truncate(
                store.directory, info.id.encode(), info.offset + size, SYNC_NONE
            )
        except OSError as error:
            raise store_error(error) from error
        if size < self.received:
            # They have seen more: what is left is read again.
            self._digest = self._feed = self.running = None
        self.received = size

    async def commit(self) -> UploadInfo:
        """Sync as promised, then take the mark away: a crash in between cuts, it never shows."""
        store, found = self._store, self._found
        info = self._info()
        sync = store.promised(info)
        if self._checked:
            await self._sync_and_close(SYNC_NONE if sync == SYNC_NONE else SYNC_DATA)
            await store.mark(found, NO_MARK, sync)
        else:
            await self._sync_and_close(sync)
        return await self._hashed(info)

    async def sync(self) -> None:
        """Make safe, and close, what earlier requests did not have to. Raises StoreError."""
        await self._close(SYNC_DATA, with_info=False)

    async def keep(self) -> None:
        """Close; see ``Appender``. Bytes that are to be verified never count unverified."""
        if self._checked:
            await self.discard()
            return
        info = self._info()
        # Whoever asks is told of a complete upload that it is there, acknowledged or not.
        synced = info.complete and self._store.sync is not SyncMode.NONE
        await self._sync_and_close(SYNC_NAME if synced else SYNC_NONE)
        await self._hashed(info)

    async def discard(self) -> None:
        """Cut the file back to where it was; see ``Appender``."""
        await self._close(SYNC_NONE, with_info=False)
        await self._store.cut(self._found)

    def _info(self) -> UploadInfo:
        """Return the upload with what was appended."""
        info = self._found.info
        return replace(info, offset=Offset(info.offset + self.received))

    async def _hashed(self, info: UploadInfo) -> UploadInfo:
        """Keep what the upload hashes to; return it with its digests where it is complete."""
        if self._found.slot is None:
            return info
        if self._transfer is not None and not self._transfer.done.done():
            self.running = None  # the engine goes on with it: whoever waited for it does no more
        info = await keep_running(self._store, replace(self._found, info=info), self.running)
        self.digests = info.digests
        return info

    async def _sync_and_close(self, sync: int) -> None:
        """Close; a file that cannot be synced is cut back, since its pages may be lost already."""
        try:
            await self._close(sync, with_info=sync == SYNC_NAME)
        except StoreError:
            if sync != SYNC_NONE:
                await self._store.truncate(self._found)
            raise

    async def _close(self, sync: int, *, with_info: bool) -> None:
        store = self._store
        info_name = self._found.info.id.encode() + b".info" if with_info else b""
        try:
            job = store.engine.close_file(self._descriptor, sync, store.directory, info_name)
            await (job if sync == SYNC_NONE else store.syncs.measured(job))
        except OSError as error:
            raise store_error(error) from error
