"""The file-system store: which file is written, in which order, and what is durable when."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, SYNC_NONE, Engine
from fileloft_fast.errors import StoreError, UploadExistsError, UploadNotFoundError
from fileloft_fast.model import Checksum, FileSlice, Offset, UploadId, UploadInfo
from fileloft_fast.observe.board import Board
from fileloft_fast.stores.appending import append_at_once
from fileloft_fast.stores.fs.appender import FsAppender
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.fs.found import FsFound
from fileloft_fast.stores.fs.hashing import (
    is_to_be_hashed,
    joined,
    keep_running,
    kept_digests,
    maybe_digests,
    maybe_resume,
    render_begun,
)
from fileloft_fast.stores.fs.info_file import (
    NO_HASHES,
    NO_MARK,
    mark_place,
    parse_info,
    render_info,
    render_mark,
)
from fileloft_fast.stores.fs.leftovers import remove_leftovers
from fileloft_fast.stores.fs.listing import AgedListing, Listing, slices
from fileloft_fast.stores.fs.syncs import SyncClock

if TYPE_CHECKING:
    from fileloft_fast.stores.store import Look

_REST_S: Final = 0.01  # after each slice of a long look: requests come first


class FsStore:
    """Uploads in one directory; see docs/adr for why the size of the file is the offset.

    *ttl_s*: an upload expires so many seconds after its last byte; None for never. *orphan_age_s*:
    what belongs to no upload is left alone for so long.
    Raises OSError from the constructor where the directory cannot be made or opened.
    """

    guarded: Final = False
    """The size of the file says at any time which bytes count."""

    def __init__(  # noqa: PLR0913 - settings, by name
        self,
        engine: Engine,
        directory: str,
        *,
        sync: SyncMode,
        file_mode: int = 0o600,
        ttl_s: int | None = None,
        orphan_age_s: float = 3600.0,
        board: Board | None = None,
    ) -> None:
        # 0700: what users upload is not for every account of the machine.
        os.makedirs(directory, mode=0o700, exist_ok=True)  # noqa: PTH103 - makes parents, one call
        self.engine = engine
        self.directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.sync = sync
        self.board = Board() if board is None else board
        self.syncs = SyncClock(self.board)
        self._path = directory
        self._file_mode = file_mode
        self._ttl_s = ttl_s
        self._orphan_age_s = orphan_age_s
        self._opened_at = time.time()
        self._free = 0
        self._free_at = float("-inf")
        self._created_sync = SYNC_NAME if sync is SyncMode.CHUNK else SYNC_NONE
        self._finished_sync = SYNC_NONE if sync is SyncMode.NONE else SYNC_NAME

    def try_own(self, *, alone: bool = True) -> bool:
        """Take the directory for this process; False while another one has it.

        Two processes would append to one upload without knowing of each other. Those that lock each
        upload share the directory (not *alone*), and are kept apart from any other. The kernel
        gives it back when the process ends. Raises OSError where there are no locks.
        """
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        try:
            fcntl.flock(self.directory, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the directory back."""
        os.close(self.directory)

    async def create(self, info: UploadInfo, body: bytes) -> None:
        """Make both files in one step of the engine; see ``Store``."""
        name = info.id.encode()
        sync = self._finished_sync if info.complete else self._created_sync
        try:
            job = self.engine.create(
                self.directory,
                name,
                body,
                name + b".info",
                render_begun(info, body) if info.hashes else render_info(info),
                sync,
                self._file_mode,
            )
            if sync == SYNC_NONE:
                await job
            else:  # not by ``syncs.measured``: small uploads are made here
                began = time.monotonic()
                await job
                self.syncs.seconds.observe(time.monotonic() - began)
        except FileExistsError as error:
            raise UploadExistsError("there is such an upload already") from error
        except OSError as error:
            raise store_error(error) from error

    async def load(self, upload: UploadId) -> FsFound:
        """Read ``.info`` and the size of the data in one step; see ``Store``."""
        name = upload.encode()
        try:
            contents, size, modified_ns = await self.engine.inspect(
                self.directory, name, name + b".info"
            )
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise UploadNotFoundError("no such upload") from error
        except OSError as error:
            raise store_error(error) from error
        if not contents:
            # Created, then the power failed: nothing was synced, and nothing was promised.
            raise UploadNotFoundError("no such upload")
        record = parse_info(contents, upload)
        marked = record.unverified_from is not None
        offset = size if record.unverified_from is None else min(size, record.unverified_from)
        modified_at = modified_ns / 1e9
        expires_at = None if self._ttl_s is None else modified_at + self._ttl_s
        info = replace(
            record.info, offset=Offset(offset), modified_at=modified_at, expires_at=expires_at
        )
        if record.slot is not None:
            info = replace(info, digests=kept_digests(info, record.slot))
        return FsFound(info, record.mark_at, marked, record.slot)

    async def declare(
        self, found: FsFound, length: int | None, *, awaits_end: bool = False
    ) -> FsFound:
        """Replace ``.info`` atomically; see ``Store``."""
        found = await self._recovered(found)
        info = replace(found.info, length=length, awaits_end=awaits_end)
        if info.complete and self.promised(info) != SYNC_NONE:
            await (await self.open(found)).sync()  # else it would be shown, safe or not
        if found.slot is not None:
            # Whose slot may have been written since then.
            found = replace(found, slot=(await self.load(info.id)).slot)
            if info.complete:
                info = replace(info, digests=await maybe_digests(self, found))
        return await self._replace_info(found, info)

    async def append(self, found: FsFound, body: bytes) -> UploadInfo:
        """Write, sync where it is promised, and close; see ``Store``."""
        found = await self._recovered(found)
        info = replace(found.info, offset=Offset(found.info.offset + len(body)))
        if not body and not info.complete:
            return found.info
        if self.promised(info) != SYNC_NONE or is_to_be_hashed(found):
            # The appender knows what a sync that fails means.
            return await append_at_once(await self.open(found), body)
        try:
            await self.engine.append(
                self.directory, info.id.encode(), body, found.info.offset, SYNC_NONE
            )
        except OSError as error:
            raise store_error(error) from error
        return info

    async def open(
        self, found: FsFound, *, checked: bool = False, algorithm: str | None = None
    ) -> FsAppender:
        """Open the data file, marked first where its bytes are to be verified; see ``Store``."""
        found = await self._recovered(found)
        if checked:
            if found.mark_at is None:  # fileloft wrote it, without a place for a mark
                found = await self._replace_info(found, found.info)
            await self.mark(found, render_mark(found.info.offset), self._mark_sync)
        try:
            descriptor, _ = await self.engine.open(
                self.directory, found.info.id.encode(), os.O_RDWR
            )
        except OSError as error:
            raise store_error(error) from error
        running = None
        if is_to_be_hashed(found):
            try:
                running = await maybe_resume(self, found, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        return FsAppender(
            self, found, descriptor, checked=checked, algorithm=algorithm, running=running
        )

    async def concatenate(self, info: UploadInfo, parts: Sequence[FsFound]) -> UploadInfo:
        """Put the data together, then write ``.info``, which makes it an upload; see ``Store``."""
        name = info.id.encode()
        sources = [(part.info.id.encode(), int(part.info.offset)) for part in parts]
        try:
            await self.engine.concatenate(
                self.directory, name, sources, self._finished_sync, self._file_mode
            )
            try:
                if info.hashes:
                    info = await joined(self, info)
                await self.engine.replace(
                    self.directory,
                    name + b".info",
                    render_info(info),
                    self._finished_sync,
                    self._file_mode,
                )
            except OSError:
                await self.engine.remove(self.directory, [name])
                raise
        except FileNotFoundError as error:
            raise UploadNotFoundError("a partial upload was removed meanwhile") from error
        except FileExistsError as error:
            raise UploadExistsError("there is such an upload already") from error
        except OSError as error:
            raise store_error(error) from error
        return info

    async def remove(self, upload: UploadId) -> bool:
        """Unlink ``.info``, without which there is no upload, then the data; see ``Store``."""
        name = upload.encode()
        try:
            removed = await self.engine.remove(self.directory, [name + b".info", name])
        except OSError as error:
            raise store_error(error) from error
        return removed > 0

    async def digests(self, found: FsFound) -> tuple[Checksum, ...]:
        """Go on from the slot; see ``Store``."""
        found = await self.load(found.info.id)
        digests = await maybe_digests(self, found)
        if len(digests) < len(found.info.hashes):
            raise StoreError("the hash of bytes that are here no more is lost")
        return digests

    async def confirm(self, found: FsFound) -> None:
        """A file in the directory is where it is to be kept; see ``Store``.

        Hash what a crash has left unhashed.
        """
        if found.slot is not None and found.info.complete and is_to_be_hashed(found):
            await keep_running(self, found, None)

    async def read(self, found: FsFound, start: int, length: int) -> FileSlice:
        """Open the data for sending; see ``Store``. UploadNotFoundError where it is too short."""
        try:
            descriptor, size = await self.engine.open(
                self.directory, found.info.id.encode(), os.O_RDONLY
            )
        except FileNotFoundError as error:
            raise UploadNotFoundError("no such upload") from error
        except OSError as error:
            raise store_error(error) from error
        if size < start + length:
            os.close(descriptor)
            raise UploadNotFoundError("no such upload")
        return FileSlice(descriptor, start, length)

    async def locate(self, found: FsFound) -> None:
        """Return None: nobody but this server can hand the file out; see ``Store``."""

    async def free_bytes(self) -> int:
        """Ask the file system at most once a second; see ``Store``."""
        now = time.monotonic()
        if now - self._free_at > 1.0:
            try:
                self._free = await self.engine.free_space(self.directory)
            except OSError as error:
                raise store_error(error) from error
            self._free_at = now
        return self._free

    async def names(self) -> AsyncIterator[UploadId]:
        """Read the directory slice by slice in a thread; see ``Store``."""
        async with aclosing(slices(Listing(self._path))) as listed:
            async for names in listed:
                for name in names:
                    yield name

    async def aged(self, since: float, until: float) -> AsyncIterator[Look]:
        """Look at the times of files slice by slice in a thread, and rest after each; ``Store``."""
        async with aclosing(slices(AgedListing(self._path, since, until))) as looks:
            async for look in looks:
                yield look
                await asyncio.sleep(_REST_S)

    async def tidy(self) -> int:
        """Delete files without an upload that nobody has touched for long; see ``Store``."""
        older_than = time.time() - self._orphan_age_s
        return await remove_leftovers(self._path, older_than, self._opened_at)

    def promised(self, info: UploadInfo) -> int:
        """Return what has to be synced before bytes that make an upload *info* are acknowledged."""
        if self.sync is SyncMode.CHUNK:
            return SYNC_DATA  # the names were made durable at creation
        if self.sync is SyncMode.COMPLETE and info.complete:
            return SYNC_NAME
        return SYNC_NONE

    async def truncate(self, found: FsFound) -> None:
        """Take back every byte after ``found.info.offset``."""
        try:
            await self.engine.truncate(
                self.directory, found.info.id.encode(), found.info.offset, self._mark_sync
            )
        except OSError as error:
            raise store_error(error) from error

    async def mark(self, found: FsFound, mark: bytes, sync: int) -> None:
        """Overwrite the mark in ``.info``; durable on return where *sync* says so."""
        if found.mark_at is None:
            raise StoreError(f"{found.info.id}.info has no place for a mark")
        try:
            await self.engine.append(
                self.directory, found.info.id.encode() + b".info", mark, found.mark_at, sync
            )
        except OSError as error:
            raise store_error(error) from error

    async def keep_hashes(self, found: FsFound, value: bytes) -> None:
        """Overwrite the slot in ``.info`` with *value*; nothing is synced."""
        assert found.slot is not None
        try:
            await self.engine.append(
                self.directory,
                found.info.id.encode() + b".info",
                found.slot.filled(value),
                found.slot.at,
                SYNC_NONE,
            )
        except OSError as error:
            raise store_error(error) from error

    def first_byte(self, upload: UploadId) -> int:  # noqa: ARG002 - which a spool looks at
        """Return where the bytes of an upload begin that are here; before that are holes."""
        return 0

    async def cut(self, found: FsFound) -> None:
        """Take back every byte after ``found.info.offset``, then the mark."""
        await self.truncate(found)
        await self.mark(found, NO_MARK, self._mark_sync)

    @property
    def _mark_sync(self) -> int:
        """A mark must outlive the bytes that it marks, unless nothing is promised at all."""
        return SYNC_NONE if self.sync is SyncMode.NONE else SYNC_DATA

    async def _replace_info(self, found: FsFound, info: UploadInfo) -> FsFound:
        """Write ``.info`` anew, atomically; a torn one would lose the upload, hence the sync."""
        contents = render_info(info, NO_HASHES if found.slot is None else found.slot.value)
        name = info.id.encode() + b".info"
        try:
            await self.engine.replace(
                self.directory, name, contents, self._mark_sync, self._file_mode
            )
        except OSError as error:
            raise store_error(error) from error
        slot = parse_info(contents, info.id).slot if info.hashes else None
        return replace(found, info=info, mark_at=mark_place(contents), slot=slot)

    async def _recovered(self, found: FsFound) -> FsFound:
        """Cut off what a crash left unverified. Only the holder of the lock comes here."""
        if not found.marked:
            return found
        await self.cut(found)
        return replace(found, marked=False)
