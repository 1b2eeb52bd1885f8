"""Chunk mode: every answer waits until the bucket has every byte, and any replica can go on."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import StoreError, UploadLockedError, UploadNotFoundError
from fileloft_fast.flush.checkpoint import Version, check_record, plan_tails
from fileloft_fast.flush.course import Course
from fileloft_fast.flush.found import Found, RemoteFound, SpoolFound
from fileloft_fast.flush.own import delete_own
from fileloft_fast.flush.patience import Patience
from fileloft_fast.flush.record import RECORD_SUFFIX, Record, RecordState, info_of, record_key
from fileloft_fast.flush.takeover import Takeover, in_step
from fileloft_fast.model import UPLOAD_ID_PATTERN, UploadId, UploadInfo
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.remote.objects import Piece

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.record import Tail
    from fileloft_fast.flush.record_ledger import RecordLedger
    from fileloft_fast.flush.shipment import Shipment

log = logging.getLogger(__name__)

T = TypeVar("T")

_is_upload: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch

_TAIL_BYTES: Final = 16 * 1024 * 1024
"""At most so much is put again because a connection broke."""


class ChunkMode:
    """See ``Mode``. The record in the bucket says what counts; files here are a cache of it.

    A request that fails leaves the record as it was, and no file. *ttl_s*: see ``info_of``.
    *expire_finished* and *listing_s*: see ``names``.
    """

    guarded: Final = True

    def __init__(
        self,
        dock: Dock,
        ledger: RecordLedger,
        *,
        ttl_s: int | None,
        expire_finished: bool = False,
        listing_s: float = 0.0,
    ) -> None:
        self._dock = dock
        self._ledger = ledger
        self._checkpoints = ledger.checkpoints
        self._shelf = ledger.shelf
        self._takeover = Takeover(dock.spool, ledger.checkpoints)
        self._ttl_s = ttl_s
        self._expire_finished = expire_finished
        self._listing_s = listing_s
        self._list_at = float("-inf")

    async def start(self) -> None:
        """Throw away what an earlier process has left in the directory, which is this mode's."""
        names = [name async for name in self._dock.spool.names()]
        for upload in names:
            await self._shelf.clear(upload)

    async def stop(self) -> None:
        """Wait for what is being removed."""
        await self._ledger.close()
        await self._shelf.close()

    def ships(self, info: UploadInfo) -> bool:  # noqa: ARG002 - as in the other modes
        """Everything leaves; see ``Mode``."""
        return True

    async def created(self, info: UploadInfo, running: bytes = b"") -> None:
        """Put the record, which must be the first; see ``Mode``."""
        record = Record(info=info, running=running)
        self._ledger.courses[info.id] = Course(self._checkpoints, Version(record, None))
        shipment = self._dock.shipment(info)
        if running:
            shipment.states[info.offset] = running
        await self._finish(shipment, info)

    async def load(self, upload: UploadId) -> RemoteFound:
        """Read the record; see ``Mode``."""
        version = await self._checkpoints.read(upload)
        record = None if version is None else version.record
        # Of one with an owner the bytes are in that spool: it was begun in another mode.
        if version is None or record is None or _is_owned(record):
            raise UploadNotFoundError("no such upload")
        assert version.tag is not None
        return RemoteFound(info_of(record, self._ttl_s), record, version.tag)

    async def opened(self, found: Found) -> SpoolFound:
        """Make the file what the record counts, and the shipment too; see ``Mode``."""
        assert isinstance(found, RemoteFound), "nothing is known by a file alone"
        upload = found.info.id
        if found.record.state is RecordState.STORED:
            raise UploadLockedError("another replica has finished the upload")
        version = Version(found.record, found.tag)
        check_record(found.record)
        try:
            opened = await self._in_step(version, found.info)
            if opened is None:
                await self.abandon(upload)
                opened = await self._takeover.restore(version, found.info)
        except BaseException:
            await self._shelf.clear(upload)
            raise
        self._ledger.courses[upload] = Course(self._checkpoints, version)
        self._dock.flusher.add(self._shipment(found.info, found.record))
        return opened

    async def declared(self, found: SpoolFound) -> Found:
        """Write the record; or finish the upload, where that was all it lacked; see ``Mode``."""
        shipment, slot = self._dock.shipment(found.info), found.local.slot
        if slot is not None:  # it may be another shipment than the one that was opened
            shipment.states[found.info.offset] = slot.value.rstrip()
        record, tag = await self._finish(shipment, found.info)
        return RemoteFound(info_of(record, self._ttl_s), record, tag)

    async def committed(self, shipment: Shipment, info: UploadInfo) -> UploadInfo:
        """Return when the record says so; see ``Mode``."""
        await self._finish(shipment, info)
        return info

    async def kept(self, shipment: Shipment, info: UploadInfo) -> None:
        """As ``committed``: what has arrived counts only where the record says so."""
        await self._finish(shipment, info)

    async def discarded(self, shipment: Shipment) -> None:
        """Keep the file, which is again what the record counts; see ``Mode``."""
        await self._let_go(shipment)

    async def abandon(self, upload: UploadId) -> None:
        """Forget what this replica has of *upload*: the bucket has what counts."""
        course = self._ledger.courses.pop(upload, None)
        if course is not None:
            self._ledger.drop(course.take_outdated())
        shipment = self._dock.flusher.shipments.get(upload)
        if shipment is not None:
            await self._dock.flusher.halt(shipment)
            self._dock.flusher.forget(shipment)
        await self._shelf.clear(upload)

    async def confirm(self, found: Found) -> None:
        """Return at once: what a record says is in the bucket."""

    async def remove(self, upload: UploadId) -> bool:
        """Delete all that the record leads to, then the record; see ``Mode``."""
        await self.abandon(upload)
        version = await self._checkpoints.read(upload)
        if version is None or _is_owned(version.record):
            return False
        objects, key, record = self._checkpoints.objects, self._dock.key(upload), version.record
        if record.session:
            await objects.abort(key, record.session)
        await delete_own(objects, key, upload)  # an open one too: a lost answer may have left it
        await objects.delete(record_key(self._checkpoints.prefix, upload))
        self._ledger.drop(record.tails)
        return True

    async def names(self) -> AsyncIterator[UploadId]:
        """Go through the uploads that may have expired; see ``Mode``.

        The bucket is not listed again before *listing_s* have passed: every replica does it, and
        every record that is named here will be read. A finished upload has its object.
        """
        now = asyncio.get_running_loop().time()
        if now < self._list_at:
            return
        self._list_at = now + self._listing_s
        prefix = self._checkpoints.prefix
        finished = ""
        async for key in self._checkpoints.objects.list_keys(prefix):  # in order: the object first
            name = key.removeprefix(prefix)
            upload = name.removesuffix(RECORD_SUFFIX)
            if name != upload and _is_upload(upload):
                if self._expire_finished or upload != finished:
                    yield UploadId(upload)
            elif _is_upload(name):
                finished = name

    # -- a request's beginning ------------------------------------------------------------------

    async def _in_step(self, version: Version, info: UploadInfo) -> SpoolFound | None:
        """Return the file that an earlier request has left, None where it is not the record's."""
        tag = self._shelf.take(info.id)
        if tag is None:
            return None
        try:
            local = await self._dock.spool.load(info.id)
        except (UploadNotFoundError, StoreError) as error:
            # Somebody cleaned up. The upload is there all the same, and so must the answer say.
            log.warning("file lost", extra=fields(id=info.id, error=error))
            return None
        if not in_step(version, tag, local):
            return None
        return SpoolFound(info, replace(local, info=info))

    def _shipment(self, info: UploadInfo, record: Record) -> Shipment:
        shipment = self._dock.new_shipment(info)
        if record.session:
            shipment.restore(record.part_bytes, record.session)
            for receipt in record.receipts:
                shipment.accept(receipt)
            shipment.punched_to = record.shipped
        if record.running:
            shipment.states[info.offset] = record.running
        shipment.arrive(info)
        return shipment

    # -- a request's end ------------------------------------------------------------------------

    async def _finish(self, shipment: Shipment, info: UploadInfo) -> tuple[Record, str]:
        """Bring everything into the bucket, the record last; or leave nothing behind here."""
        course = self._ledger.courses[info.id]
        try:
            if info.complete:
                await self._dock.flusher.stored(shipment)
            else:
                await self._dock.flusher.drained(shipment, shipment.sendable_end)
            if shipment.stored is None:
                await self._count(course, shipment, info)
                await self._let_go(shipment)
            else:  # the ledger has written the record, and settles the rest
                del self._ledger.courses[info.id]
        except BaseException as error:
            await self.abandon(info.id)
            if isinstance(error, UploadNotFoundError) and course.failure is not None:
                raise course.failure from error
            raise
        assert course.version.tag is not None
        return course.record, course.version.tag

    async def _count(self, course: Course, shipment: Shipment, info: UploadInfo) -> None:
        """Put what is left over as tails, and write the record, where anything is new."""
        record = course.record
        news = (*_said(info), shipment.shipped_end)
        if course.version.tag and news == (*_said(record.info), record.shipped):
            return
        tails, cuts = plan_tails(record.tails, shipment.shipped_end, info.offset, _TAIL_BYTES)
        for start, end in cuts:
            tails += (await self._put_tail(info.id, start, end - start),)
        await self._insist(lambda: self._ledger.count_parts(shipment, tails))

    async def _put_tail(self, upload: UploadId, start: int, length: int) -> Tail:
        engine, directory = self._dock.spool.engine, self._dock.spool.directory
        try:
            descriptor, _ = await engine.open(directory, upload.encode(), os.O_RDONLY)
            try:
                sum_ = await engine.checksum(descriptor, start, length, "crc32c")
                piece = Piece(descriptor, start, length, int.from_bytes(sum_, "big"))
                return await self._insist(lambda: self._checkpoints.put_tail(upload, piece))
            finally:
                await engine.close_file(descriptor, SYNC_NONE)
        except OSError as error:
            raise store_error(error) from error

    async def _let_go(self, shipment: Shipment) -> None:
        """Keep the file for the next request; nothing leaves meanwhile."""
        upload, flusher = shipment.upload, self._dock.flusher
        await flusher.halt(shipment)
        flusher.forget(shipment)
        course = self._ledger.courses.pop(upload)
        record, tag = course.version.record, course.version.tag
        self._ledger.drop(course.take_outdated())
        if tag is None or shipment.punched_to > record.shipped:
            # A hole where the record's tails lie: the next request would send zeros.
            await self._shelf.clear(upload)
        else:
            self._shelf.put(upload, tag, record.info.offset - shipment.punched_to)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        flusher = self._dock.flusher
        return await Patience(flusher.patience_s, moved=lambda: flusher.taken).insist(attempt)


def _said(info: UploadInfo) -> tuple[object, ...]:
    """Return what a request may change of what the record says."""
    return info.offset, info.length, info.awaits_end


def _is_owned(record: Record) -> bool:
    return record.state is RecordState.OPEN and bool(record.owner)
