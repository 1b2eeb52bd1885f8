"""Chunk mode: every answer waits until the bucket has every byte, and any replica can go on."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import UploadNotFoundError
from fileloft_fast.flush.checkpoint import Version, check_record, plan_tail
from fileloft_fast.flush.course import Course
from fileloft_fast.flush.found import Found, RemoteFound, SpoolFound
from fileloft_fast.flush.patience import Patience
from fileloft_fast.flush.record import RECORD_SUFFIX, Record, RecordState, info_of, record_key
from fileloft_fast.flush.takeover import Takeover, in_step
from fileloft_fast.model import UPLOAD_ID_PATTERN, UploadId, UploadInfo
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.remote.objects import Piece

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.record import Tail
    from fileloft_fast.flush.record_ledger import RecordLedger
    from fileloft_fast.flush.shipment import Shipment

_is_upload: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch


class ChunkMode:
    """See ``Mode``. The record in the bucket says what counts; files here are a cache of it.

    A request that fails leaves the record as it was, and no file. *ttl_s*: see ``info_of``.
    """

    guarded: Final = True

    def __init__(self, dock: Dock, ledger: RecordLedger, *, ttl_s: int | None) -> None:
        self._dock = dock
        self._ledger = ledger
        self._checkpoints = ledger.checkpoints
        self._shelf = ledger.shelf
        self._takeover = Takeover(dock.spool, ledger.checkpoints)
        self._ttl_s = ttl_s

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

    async def created(self, info: UploadInfo) -> None:
        """Put the record, which must be the first; see ``Mode``."""
        record = Record(info=info)
        self._ledger.courses[info.id] = Course(self._checkpoints, Version(record, None))
        await self._finish(self._dock.shipment(info), info)

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
        if isinstance(found, SpoolFound):
            return found  # of this very request, which has declared the length
        upload = found.info.id
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

    async def declared(self, found: SpoolFound) -> SpoolFound:
        """Write the record; or finish the upload, where that was all it lacked; see ``Mode``."""
        upload, info = found.info.id, found.info
        if info.complete:
            await self._finish(self._dock.flusher.shipments[upload], info)
            return found
        course = self._ledger.courses[upload]
        record_info = replace(course.record.info, length=info.length)
        try:
            await self._patience().insist(lambda: course.write(info=record_info))
        except BaseException:
            await self.abandon(upload)
            raise
        return found

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
        self._ledger.courses.pop(upload, None)
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
        await objects.delete(key)  # of an open upload too: a lost answer may have left it
        await objects.delete(record_key(self._checkpoints.prefix, upload))
        self._ledger.drop(record.tails)
        return True

    async def names(self) -> AsyncIterator[UploadId]:
        """Go through the records; see ``Mode``."""
        prefix = self._checkpoints.prefix
        async for key in self._checkpoints.objects.list_keys(prefix):
            upload = key[len(prefix) :].removesuffix(RECORD_SUFFIX)
            if key.endswith(RECORD_SUFFIX) and _is_upload(upload):
                yield UploadId(upload)

    # -- a request's beginning ------------------------------------------------------------------

    async def _in_step(self, version: Version, info: UploadInfo) -> SpoolFound | None:
        """Return the file that an earlier request has left, None where it is not the record's."""
        tag = self._shelf.take(info.id)
        if tag is None or tag != version.tag:
            return None
        local = await self._dock.spool.load(info.id)
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
        shipment.arrive(info)
        return shipment

    # -- a request's end ------------------------------------------------------------------------

    async def _finish(self, shipment: Shipment, info: UploadInfo) -> None:
        """Bring everything into the bucket, the record last; or leave nothing behind here."""
        try:
            if info.complete:
                await self._dock.flusher.stored(shipment)
                return  # the ledger has written the record, and settles the rest
            await self._dock.flusher.drained(shipment, shipment.sendable_end)
            await self._count(shipment, info)
        except BaseException as error:
            course = self._ledger.courses.get(info.id)
            await self.abandon(info.id)
            if isinstance(error, UploadNotFoundError) and course is not None and course.failure:
                raise course.failure from error
            raise
        await self._let_go(shipment)

    async def _count(self, shipment: Shipment, info: UploadInfo) -> None:
        """Put what is left over as a tail, and write the record, where anything is new."""
        course, patience = self._ledger.courses[info.id], self._patience()
        record = course.record
        if course.version.tag is not None and record.info.offset == info.offset:
            return
        tails, start = plan_tail(record.tails, shipment.shipped_end, info.offset)
        if start < info.offset:
            tails += (await self._put_tail(info.id, start, info.offset - start, patience),)
        await patience.insist(lambda: self._ledger.count_parts(shipment, tails))

    async def _put_tail(
        self, upload: UploadId, start: int, length: int, patience: Patience
    ) -> Tail:
        engine, directory = self._dock.spool.engine, self._dock.spool.directory
        try:
            descriptor, _ = await engine.open(directory, upload.encode(), os.O_RDONLY)
            try:
                sum_ = await engine.checksum(descriptor, start, length, "crc32c")
                piece = Piece(descriptor, start, length, int.from_bytes(sum_, "big"))
                return await patience.insist(lambda: self._checkpoints.put_tail(upload, piece))
            finally:
                await engine.close_file(descriptor, SYNC_NONE)
        except OSError as error:
            raise store_error(error) from error

    async def _let_go(self, shipment: Shipment) -> None:
        """Keep the file for the next request; nothing leaves meanwhile."""
        upload = shipment.upload
        await self._dock.flusher.halt(shipment)
        self._dock.flusher.forget(shipment)
        course = self._ledger.courses.pop(upload)
        assert course.version.tag is not None
        self._ledger.drop(course.take_outdated())
        size = course.record.info.offset - shipment.punched_to
        self._shelf.put(upload, course.version.tag, size)

    def _patience(self) -> Patience:
        return Patience(self._dock.flusher.patience_s)


def _is_owned(record: Record) -> bool:
    return record.state is RecordState.OPEN and bool(record.owner)
