"""An upload's bytes as zstd frames in a file of their own (``FILELOFT_FLUSH_ZSTD``).

Each frame stands alone, with its size and checksum: after a restart work goes on behind the last
one that the journal names, and any zstd decoder takes the file as one stream. What was journalled
is never compressed again, since another version of zstd would make other bytes of it.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Final

import zstandard

from fileloft_fast.flush.journal import Frame
from fileloft_fast.stores.fs.failures import store_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.flush.journal import Entry, Journal
    from fileloft_fast.model import UploadId

FRAME_BYTES: Final = 4 * 1024 * 1024
"""Raw bytes of every frame but the last; below the window of 8 MiB that RFC 9659 allows."""

_RAW_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_STORED_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_STEP_FRAMES: Final = 4  # for one sync of the disk and one entry of the journal
_FRAME_EXTRA: Final = FRAME_BYTES // 256 + 64  # ZSTD_COMPRESSBOUND, head and checksum


def stored_bound(raw: int) -> int:
    """Return the most bytes that *raw* bytes can become."""
    return raw + (raw // FRAME_BYTES + 1) * _FRAME_EXTRA


def stored_name(upload: UploadId) -> bytes:
    """Return the name of the compressed file."""
    return upload.encode() + b".zst"


class Compressor:
    """Compresses ``{id}`` into ``{id}.zst``, a step at a time, as bytes arrive.

    *entries* is what *journal* held at the start. Where a step has ended, the upload's bytes below
    ``raw_end`` are durable in the compressed file: the flusher may punch them, and an upload's
    offset is never below it. Bytes behind ``stored_end`` of the file are nobody's.
    """

    def __init__(
        self,
        directory: int,
        upload: UploadId,
        level: int,
        journal: Journal,
        entries: Sequence[Entry] = (),
    ) -> None:
        last = next((e for e in reversed(entries) if isinstance(e, Frame)), Frame(0, 0))
        self.raw_end = last.raw_end
        self.stored_end = last.stored_end
        self._directory = directory
        self._raw_name = upload.encode()
        self._stored_name = stored_name(upload)
        self.level = level
        self._journal = journal
        self._stopping = False
        self._job: asyncio.Future[Frame] | None = None

    def wants(self, raw_ready: int, *, final: bool) -> bool:
        """Return whether ``feed`` would do something."""
        if final:
            return self.raw_end < raw_ready or not self.stored_end
        return raw_ready - self.raw_end >= FRAME_BYTES

    async def feed(self, raw_ready: int, *, final: bool) -> int:
        """Take one step of at most 16 MiB; return how many stored bytes are ready to be shipped.

        *raw_ready*: the upload's bytes that are in its file and stay as they are. Only whole frames
        are made of them unless they are *final*; an empty upload becomes an empty frame. Call it
        while ``wants`` says so. Not for two at once. Raises StoreError, after which it may be
        called again.
        """
        await self._settle()
        if not self.wants(raw_ready, final=final):
            return self.stored_end
        end = min(raw_ready, self.raw_end + _STEP_FRAMES * FRAME_BYTES)
        if not final:
            end -= (end - self.raw_end) % FRAME_BYTES
        try:
            reached = await self._run(end)
        except OSError as error:
            raise store_error(error) from error
        await self._journal.append(reached)
        self.raw_end, self.stored_end = reached.raw_end, reached.stored_end
        return self.stored_end

    async def _run(self, end: int) -> Frame:
        """Compress up to *end* in a thread; one that is cancelled ends with its frame."""
        self._stopping = False
        loop = asyncio.get_running_loop()
        self._job = loop.run_in_executor(None, self._compress, end)
        try:
            return await asyncio.shield(self._job)
        finally:
            self._stopping = True
            await self._settle()

    async def _settle(self) -> None:
        """Wait for a thread whose caller was cancelled, since it writes into the file."""
        if self._job is not None:
            await asyncio.wait([self._job])
            self._job = None

    def _compress(self, end: int) -> Frame:
        """Write the frames from ``raw_end`` to *end*; return where they end. Blocks."""
        at = Frame(self.raw_end, self.stored_end)
        raw = os.open(self._raw_name, _RAW_FLAGS, dir_fd=self._directory)
        try:
            stored = os.open(self._stored_name, _STORED_FLAGS, 0o600, dir_fd=self._directory)
            try:
                # Made anew for each step: it keeps tens of megabytes at the highest levels.
                zstd = zstandard.ZstdCompressor(level=self.level, write_checksum=True)
                while True:
                    data = _read(raw, at.raw_end, min(FRAME_BYTES, end - at.raw_end))
                    frame = zstd.compress(data)
                    _write(stored, at.stored_end, frame)
                    at = Frame(at.raw_end + len(data), at.stored_end + len(frame))
                    if at.raw_end == end or self._stopping:
                        break
                os.fdatasync(stored)
            finally:
                os.close(stored)
        finally:
            os.close(raw)
        if not self.stored_end:
            os.fsync(self._directory)  # the file may be new
        return at


def _read(descriptor: int, start: int, length: int) -> bytes:
    data = os.pread(descriptor, length, start)
    if len(data) != length:
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
    return data


def _write(descriptor: int, start: int, data: bytes) -> None:
    while data:
        written = os.pwrite(descriptor, data, start)
        start += written
        data = data[written:]
