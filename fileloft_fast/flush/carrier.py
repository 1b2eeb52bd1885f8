"""Carries out one step of a shipment: reads the spool, asks the store, writes down the answer."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Final

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import (
    ConditionFailedError,
    RemoteUnavailableError,
    SessionLostError,
)
from fileloft_fast.flush.attributes import ID_NAME, attributes_of
from fileloft_fast.flush.compress import stored_name
from fileloft_fast.flush.piece import read_piece
from fileloft_fast.flush.shipment import (
    Begin,
    Complete,
    Compress,
    Inquire,
    Punch,
    PutPart,
    PutWhole,
    Settle,
    Shipment,
    Step,
)
from fileloft_fast.flush.unbroken import unbroken
from fileloft_fast.model import UploadInfo
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.remote.objects import ABSENT, Attributes, ObjectHead, Receipt

if TYPE_CHECKING:
    from fileloft_fast.flush.ledger import Ledger
    from fileloft_fast.stores import FsStore
    from fileloft_fast.stores.remote.objects import Objects

log = logging.getLogger(__name__)

Told = Callable[[UploadInfo], Awaitable[None]]

_BLOCK_BYTES: Final = 64 * 1024  # of whatever file system: a multiple of its own

_DENIALS: Final = 3
"""So often, with pauses, a store has to say that it has lost bytes which are nowhere else."""


class Carrier:
    """Takes steps for shipments whose source files lie in *spool*.

    *told* hears of each object that is there, before anything here says so.
    """

    def __init__(
        self, spool: FsStore, objects: Objects, ledger: Ledger, told: Told | None = None
    ) -> None:
        self._told_of = told
        self._spool = spool
        self._objects = objects
        self._ledger = ledger
        self._punches = True
        self._lag = spool.board.histogram("fileloft_flush_lag_seconds")
        self._plain: Mapping[type[Step], Callable[[Shipment], Awaitable[None]]] = {
            PutWhole: self._put_whole,
            Begin: self._begin,
            Compress: self._compress,
            Inquire: self._inquire,
            Punch: self._give_way,
            Settle: self._settle,
        }

    async def carry(self, shipment: Shipment, step: Step) -> None:
        """Do *step*; what came of it is in *shipment*. May be cancelled, and tried again.

        Raises StoreError where nothing came of it.
        """
        match step:
            case PutPart():
                await self._put_part(shipment, step)
            case Complete():
                await self._complete(shipment, step)
            case _:
                await self._plain[type(step)](shipment)

    async def _put_whole(self, shipment: Shipment) -> None:
        async with self._source(shipment) as descriptor:
            piece = await read_piece(self._spool.engine, descriptor, 0, shipment.ready)
            shipment.crc32c = piece.crc32c
            shipment.asked = True
            try:
                head = await self._objects.put(
                    shipment.key,
                    piece if piece.length else b"",
                    _attributes(shipment),
                    ABSENT,
                )
            except ConditionFailedError:
                head = await self._told(shipment)
        await self._stored(shipment, head)

    async def _begin(self, shipment: Shipment) -> None:
        await self._ledger.begin(shipment)
        if not shipment.unnamed:
            # Kept where writing it down fails: each try would leave another session behind.
            shipment.unnamed = await self._objects.create(shipment.key, _attributes(shipment))
        await self._ledger.session(shipment, shipment.unnamed)
        shipment.open(shipment.unnamed)

    async def _compress(self, shipment: Shipment) -> None:
        compressor, info = shipment.compressor, shipment.info
        assert compressor is not None
        await compressor.feed(info.offset, final=info.complete)
        shipment.arrive(shipment.info)
        start, end = shipment.raw_punched_to, compressor.raw_end
        if start < end and self._punches and not shipment.kept:
            async with self._opened(shipment.upload.encode()) as descriptor:
                shipment.raw_punched_to = end
                await unbroken(self._punch(shipment, descriptor, start, end))

    async def _put_part(self, shipment: Shipment, step: PutPart) -> None:
        async with self._source(shipment) as descriptor:
            piece = await read_piece(self._spool.engine, descriptor, step.start, step.length)
            try:
                receipt = await self._objects.put_part(
                    shipment.key, shipment.session, step.number, step.start, piece
                )
            except SessionLostError:
                shipment.session_lost = True
                if shipment.denials:
                    raise  # it has said so and unsaid it: not again without a pause
                return
            # To its end: an answer that was heard and is forgotten would be asked for again, and
            # some stores give the same bytes another tag then.
            await unbroken(self._accept(shipment, receipt, step.start, descriptor))

    async def _accept(
        self, shipment: Shipment, receipt: Receipt, offset: int, descriptor: int
    ) -> None:
        free = await self._ledger.part(shipment, receipt, offset)
        shipment.accept(receipt)
        await self._ledger.accepted(shipment)
        # None behind bytes that are still needed: a power cut could leave those unwritten, and a
        # hole beyond them makes ext4 remember a size that says they were.
        start, end = shipment.punched_to, shipment.shipped_end
        read = shipment.kept and shipment.compressor is None
        if free and start < end and self._punches and not read:
            shipment.punched_to = end
            await self._punch(shipment, descriptor, start, end)

    async def _complete(self, shipment: Shipment, step: Complete) -> None:
        async with self._source(shipment) as descriptor:
            last = await read_piece(self._spool.engine, descriptor, step.start, step.length)
            crc32c = shipment.crc32c_with(Receipt(0, last.length, "", last.crc32c))
            shipment.crc32c = crc32c
            await self._ledger.completing(shipment, crc32c)
            shipment.asked = True
            try:
                head = await self._objects.complete(
                    shipment.key,
                    shipment.session,
                    shipment.parts(),
                    size=shipment.ready,
                    crc32c=crc32c,
                    attributes=_attributes(shipment),
                    condition=ABSENT,
                    last=last if last.length else None,
                )
            except SessionLostError:
                shipment.session_lost = True
                if shipment.denials:
                    raise  # it has said so and unsaid it: not again without a pause
                return
            except ConditionFailedError:
                head = await self._told(shipment)
        await self._stored(shipment, head)

    async def _inquire(self, shipment: Shipment) -> None:
        """Settle what a lost session means: a lost answer, a new beginning, or a lost upload.

        Of bytes that nobody else has, the store's word counts when it has said it again and again.
        """
        head = await self._objects.head(shipment.key)
        if head is not None and _is_ours(shipment, head):
            await self._stored(shipment, head)
        elif shipment.shipped_end and await self._holds(shipment):
            shipment.session_lost = False
            shipment.denials = 1
            raise RemoteUnavailableError("the store has denied a session that it has")
        elif not shipment.punched_to and not shipment.base.size:
            log.warning("session lost, beginning anew", extra=fields(id=shipment.upload))
            shipment.open("")
        else:
            shipment.denials += 1
            if shipment.denials < _DENIALS:
                raise SessionLostError("the store has forgotten what it took; it is asked again")
            await self._ledger.lose(shipment)
            shipment.lost = True

    async def _holds(self, shipment: Shipment) -> bool:
        """Whether the session is there, with every part that was acknowledged."""
        try:
            held = await self._objects.list_parts(shipment.key, shipment.session)
        except SessionLostError:
            return False
        if self._objects.limits.sequential:
            size = sum(receipt.size for receipt in held)
            return shipment.shipped_end <= size <= shipment.ready
        there = {(receipt.number, receipt.tag) for receipt in held}
        return there.issuperset((r.number, r.tag) for r in shipment.receipts.values())

    async def _give_way(self, shipment: Shipment) -> None:
        """Punch what has left and was kept; written down first, or zeros might be sent for it."""
        shipment.gives_way = False
        start, end = shipment.punched_to, shipment.punched_to + shipment.copies
        if start == end or not self._punches:
            return
        await unbroken(self._ledger.hole(shipment, end))
        shipment.punched_to = end
        async with self._source(shipment) as descriptor:
            await unbroken(self._punch(shipment, descriptor, start, end))

    async def _told(self, shipment: Shipment) -> ObjectHead:
        """Return the object that is there already if it is what was to be made.

        Raises ConditionFailedError where it is another's.
        """
        head = await self._objects.head(shipment.key)
        if head is None or not _is_ours(shipment, head):
            raise ConditionFailedError(f"another object lies at {shipment.key}")
        return head

    async def _stored(self, shipment: Shipment, head: ObjectHead) -> None:
        if self._told_of is not None:
            await self._told_of(shipment.info)
        await self._ledger.completed(shipment, head)
        shipment.stored = head
        last_byte_at = shipment.info.modified_at
        if last_byte_at:
            self._lag.observe(max(0.0, time.time() - last_byte_at))

    async def _settle(self, shipment: Shipment) -> None:
        await self._ledger.settle(shipment)
        shipment.settled = True

    # -- the file -------------------------------------------------------------------------------

    def _source(self, shipment: Shipment) -> AbstractAsyncContextManager[int]:
        raw = shipment.compressor is None
        return self._opened(shipment.upload.encode() if raw else stored_name(shipment.upload))

    @asynccontextmanager
    async def _opened(self, name: bytes) -> AsyncIterator[int]:
        engine = self._spool.engine
        try:
            descriptor, _ = await engine.open(self._spool.directory, name, os.O_RDWR)
        except OSError as error:
            raise store_error(error) from error
        try:
            yield descriptor
        finally:
            await engine.close_file(descriptor, SYNC_NONE)

    async def _punch(self, shipment: Shipment, descriptor: int, start: int, end: int) -> None:
        """Give the blocks of bytes back that are not needed here any more.

        Everything before *start* is a hole but for a block that was not full: now it is.
        """
        start -= start % _BLOCK_BYTES
        try:
            await self._spool.engine.punch(descriptor, start, end - start)
        except OSError as error:
            log.warning("no hole punched", extra=fields(id=shipment.upload, error=error))
            self._punches = error.errno != errno.EOPNOTSUPP


def _attributes(shipment: Shipment) -> Attributes:
    return attributes_of(shipment.info, zstd=shipment.compressor is not None)


def _is_ours(shipment: Shipment, head: ObjectHead) -> bool:
    """Whether *head* is the object that this shipment was to make."""
    return (
        head.size == shipment.ready
        and head.metadata.get(ID_NAME) == shipment.upload
        and (head.crc32c is None or shipment.crc32c in {None, head.crc32c})
    )
