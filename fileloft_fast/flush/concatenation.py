"""Final uploads: made within the store where it can, else through the spool."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import (
    CannotJoinError,
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
    StoreError,
    UploadNotFoundError,
)
from fileloft_fast.flush.appender import SpooledAppender
from fileloft_fast.flush.attributes import ID_NAME, attributes_of
from fileloft_fast.flush.found import Found, RemoteFound, SpoolFound
from fileloft_fast.flush.ledger import RECORD_ATTRIBUTES
from fileloft_fast.flush.own import delete_own
from fileloft_fast.flush.patience import Patience
from fileloft_fast.flush.record import Record, RecordState, record_key, render_record
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.model import FileSlice, Offset, UploadInfo
from fileloft_fast.stores.fs.hashing import begun
from fileloft_fast.stores.remote.objects import ABSENT

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.download import Downloads
    from fileloft_fast.flush.mode import Mode
    from fileloft_fast.stores.fs.found import FsFound
    from fileloft_fast.stores.remote.objects import Attributes, Condition, ObjectHead

_READ_BYTES: Final = 1024 * 1024
_JOIN_S: Final = 3600.0  # a store copies a terabyte within minutes to hours


class Concatenation:
    """Makes final uploads of finished ones. *owner*: the spool that may decide about orphans."""

    def __init__(self, dock: Dock, mode: Mode, downloads: Downloads, *, owner: str) -> None:
        self._dock = dock
        self._mode = mode
        self._downloads = downloads
        self._owner = owner

    async def make(self, info: UploadInfo, parts: Sequence[Found]) -> UploadInfo:
        """Make the final upload *info* of *parts*, and acknowledge it; see ``Store``."""
        self._dock.plan(info.length)
        kept = [part.local for part in parts if isinstance(part, SpoolFound) and self._stays(part)]
        if len(kept) == len(parts):
            return await self._make_here(info, kept)
        if not kept and not info.hashes:  # the bytes have to pass here to be hashed
            with contextlib.suppress(CannotJoinError):
                return await self._join(info, parts)
        return await self._pour(info, parts)

    def _stays(self, part: SpoolFound) -> bool:
        """Whether *part* never leaves the spool; one that was begun in another mode does."""
        return not self._mode.ships(part.info) and part.info.id not in self._dock.flusher.shipments

    async def _make_here(self, info: UploadInfo, parts: Sequence[FsFound]) -> UploadInfo:
        """Put files together that never left the spool, and ship the whole."""
        info = await self._dock.spool.concatenate(info, parts)
        try:
            await self._mode.created(info)
        except BaseException:
            await self._mode.remove(info.id)
            raise
        return info

    # -- within the store -----------------------------------------------------------------------

    async def _join(self, info: UploadInfo, parts: Sequence[Found]) -> UploadInfo:
        """Let the store make the object, then write the record. Raises CannotJoinError."""
        patience = Patience(self._dock.flusher.patience_s)
        sources = [await self._source(part, patience) for part in parts if part.info.length]
        if not sources or len({encoding for _, encoding in sources}) != 1:
            raise CannotJoinError("nothing to join, or not all of a kind")
        heads, encoding = [head for head, _ in sources], sources[0][1]
        size = sum(head.size for head in heads)
        attributes = attributes_of(info, zstd=bool(encoding))
        key = self._dock.key(info.id)
        # The claim comes first: a session that nothing speaks for may be another program's.
        claim = Record(info=replace(info, offset=Offset(0)), owner=self._owner)
        record = Record(info=info, state=RecordState.STORED, object_bytes=size, encoding=encoding)
        try:
            await patience.insist(lambda: self._write(claim, ABSENT))
            await self._insist(lambda: self._joined(key, heads, attributes, size))
            await patience.insist(lambda: self._write(record, None))
            if self._dock.told is not None:
                await self._dock.told(info)
        except BaseException as error:
            with contextlib.suppress(StoreError):
                await self._unmake(key, info)
            if isinstance(error, ObjectNotFoundError):
                raise UploadNotFoundError("a partial upload was removed meanwhile") from error
            raise
        return info

    async def _write(self, record: Record, condition: Condition | None) -> None:
        key = record_key(self._dock.prefix, record.info.id)
        with contextlib.suppress(ConditionFailedError):  # written, and the answer was lost
            await self._dock.objects.put(key, render_record(record), RECORD_ATTRIBUTES, condition)

    async def _insist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Try as often as a request may, but let each try take as long as terabytes may take."""
        loop = asyncio.get_running_loop()
        end, backoff = loop.time() + self._dock.flusher.patience_s, Backoff()
        while True:
            try:
                async with asyncio.timeout(_JOIN_S):
                    return await attempt()
            except TimeoutError as error:
                raise RemoteUnavailableError("the object store takes too long") from error
            except (RemoteUnavailableError, RemoteRefusedError):
                wait_s = backoff.next_s()
                if loop.time() + wait_s >= end:
                    raise
                await asyncio.sleep(wait_s)

    async def _joined(
        self, key: str, heads: Sequence[ObjectHead], attributes: Attributes, size: int
    ) -> None:
        """Join, or find that it was done and the answer was lost."""
        try:
            await self._dock.objects.join(key, heads, attributes)
        except ConditionFailedError:
            head = await self._dock.objects.head(key)
            name = attributes.metadata[ID_NAME]
            if head is None or head.size != size or head.metadata.get(ID_NAME) != name:
                raise

    async def _unmake(self, key: str, info: UploadInfo) -> None:
        """Delete what nobody will hear of, but nobody else's; the claim goes last."""
        objects = self._dock.objects
        await delete_own(objects, key, info.id)
        await objects.delete(record_key(self._dock.prefix, info.id))

    async def _source(self, part: Found, patience: Patience) -> tuple[ObjectHead, str]:
        """Return the object of a finished upload, and its encoding."""
        shipment = self._dock.flusher.shipments.get(part.info.id)
        if isinstance(part, SpoolFound) and shipment is not None:
            await self._dock.flusher.stored(shipment)
            assert shipment.stored is not None
            return shipment.stored, "zstd" if shipment.zstd else ""
        if isinstance(part, SpoolFound):  # it has left since it was found
            part = await self._mode.load(part.info.id)
        head = await patience.insist(lambda: self._dock.objects.head(self._dock.key(part.info.id)))
        if head is None or not isinstance(part, RemoteFound):
            raise UploadNotFoundError("a partial upload was removed meanwhile")
        return head, part.record.encoding

    # -- through the spool ----------------------------------------------------------------------

    async def _pour(self, info: UploadInfo, parts: Sequence[Found]) -> UploadInfo:
        """Copy the bytes into a file of its own, which is shipped while it grows."""
        dock, mode = self._dock, self._mode
        empty = replace(info, offset=Offset(0))
        await dock.spool.create(empty, b"")
        try:
            empty, running = await begun(dock.spool, empty)
            await mode.created(empty, running)
            if empty.complete:
                return empty
            found = await mode.opened(await mode.load(info.id))
            shipment = dock.shipment(found.info, ships=mode.ships(info))
            inner = await dock.spool.open(found.local)
            appender = SpooledAppender(dock, mode, shipment, found.info, inner, checked=False)
            try:
                for part in parts:
                    await self._copy(part, appender)
            except BaseException:
                await appender.keep()
                raise
            return await appender.commit()
        except BaseException:
            await mode.remove(info.id)
            raise

    async def _copy(self, part: Found, appender: SpooledAppender) -> None:
        if not part.info.offset:
            return
        source = await self._downloads.open(part, 0, part.info.offset)
        pieces = self._read(source) if isinstance(source, FileSlice) else source.pieces
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                await appender.write(piece)

    async def _read(self, source: FileSlice) -> AsyncGenerator[bytes, None]:
        engine = self._dock.spool.engine
        at, end = source.start, source.start + source.length
        try:
            while at < end:
                piece = await engine.read(source.descriptor, min(_READ_BYTES, end - at), at)
                if not piece:
                    raise StoreError("a partial upload is shorter than it was")
                at += len(piece)
                yield piece
        finally:
            await engine.close_file(source.descriptor, SYNC_NONE)
