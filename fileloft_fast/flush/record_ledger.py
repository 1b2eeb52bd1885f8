"""Chunk mode: shipments are written down in the record, so that any replica can go on with them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import (
    RemoteUnavailableError,
    StoreError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.record import RecordState, record_key
from fileloft_fast.model import Offset
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.flush.checkpoint import Checkpoints
    from fileloft_fast.flush.course import Course
    from fileloft_fast.flush.record import Tail
    from fileloft_fast.flush.shelf import Shelf
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.model import UploadId, UploadInfo
    from fileloft_fast.stores.remote.objects import ObjectHead, Receipt

log = logging.getLogger(__name__)

_NOTE_S: Final = 5.0
"""How often parts that have left count while their request still runs: what a crash can cost."""

_CLOSING_S: Final = 2.0


class RecordLedger:
    """The ledger of chunk mode; see ``Ledger``. ``courses`` are the requests that are at work.

    *note_s*: at most every so many seconds a running request's parts are put into the record.
    """

    def __init__(self, checkpoints: Checkpoints, shelf: Shelf, *, note_s: float = _NOTE_S) -> None:
        self.checkpoints = checkpoints
        self.shelf = shelf
        self.courses: dict[UploadId, Course] = {}
        self._note_s = note_s
        self._dropping: set[asyncio.Task[None]] = set()

    async def begin(self, shipment: Shipment) -> None:
        """Fix the size of parts; the record, which names nobody, claims any session it names."""
        shipment.begun = True

    async def session(self, shipment: Shipment, name: str) -> None:
        """Name the session in the record: an old one that is not named there is an orphan."""
        await self._write(shipment, session=name, part_bytes=shipment.part_bytes)

    async def accepted(self, shipment: Shipment) -> None:
        """Keep no copies; see ``Ledger``."""

    async def part(
        self,
        shipment: Shipment,
        receipt: Receipt,  # noqa: ARG002 - the shipment is about to have it
        offset: int,  # noqa: ARG002
    ) -> bool:
        """Note, now and then, what has left; see ``Ledger``.

        Bytes may leave the spool at once: what the record does not count is sent again by the
        client after a crash.
        """
        course = self._course(shipment)
        is_due = asyncio.get_running_loop().time() - course.written_at >= self._note_s
        end = shipment.shipped_end
        is_known = not shipment.info.hashes or end in shipment.states
        if is_due and is_known and end > course.record.info.offset:
            try:
                await self.count_parts(shipment)
            except StoreError as error:
                log.info("parts not noted yet", extra=fields(id=shipment.upload, error=error))
        return True

    async def hole(self, shipment: Shipment, end: int) -> None:
        """See ``Ledger``: the record counts no bytes of this file."""

    async def completing(self, shipment: Shipment, crc32c: int) -> None:
        """See ``Ledger``: whoever goes on asks for the object first."""

    async def completed(self, shipment: Shipment, head: ObjectHead) -> None:
        """Write the record; only then the upload counts as finished.

        Its length is the object's: the replica that made it may have been told, and that this is
        the end, and have died before it could write that down.
        """
        await self._write(
            shipment,
            info=replace(
                self._info(shipment, shipment.ready),
                length=shipment.ready,
                awaits_end=False,
                digests=shipment.info.digests,
            ),
            state=RecordState.STORED,
            session="",
            receipts=(),
            tails=(),
            object_bytes=head.size,
            running=b"",
        )
        self.drop(self._course(shipment).take_outdated())

    async def settle(self, shipment: Shipment) -> None:
        """Remove the file; the request, which may still be about to end, has the course."""
        await self.shelf.clear(shipment.upload)

    async def lose(self, shipment: Shipment) -> None:
        """Find out what a session that is gone means, and say so; see ``Ledger``.

        Another replica's success, a request that failed, or the loss of bytes that counted.
        """
        course = self._course(shipment)
        found = await self.checkpoints.read(shipment.upload)
        if found is None:
            course.failure = UploadNotFoundError("the upload was removed meanwhile")
        elif not course.wrote(found):
            course.failure = UploadLockedError("another replica has gone on with the upload")
        elif await self._is_stored(shipment, course):
            course.failure = UploadLockedError("another replica has finished the upload")
        elif course.record.receipts:
            log.error("upload lost: the store forgot its parts", extra=fields(id=shipment.upload))
            await self.checkpoints.objects.delete(
                record_key(self.checkpoints.prefix, shipment.upload)
            )
            course.failure = UploadNotFoundError("the store has lost the upload")
        else:
            await self._write(shipment, session="", part_bytes=0)
            course.failure = RemoteUnavailableError("the store has lost what was sent to it")

    async def count_parts(self, shipment: Shipment, tails: tuple[Tail, ...] = ()) -> None:
        """Write the record anew: what has left without a gap, and *tails* behind it, count."""
        end = shipment.shipped_end
        offset = tails[-1].end if tails else end
        await self._write(
            shipment,
            info=self._info(shipment, offset),
            running=shipment.states.get(offset, b""),
            receipts=tuple(r for r in shipment.parts() if r.number * shipment.part_bytes <= end),
            tails=tails,
        )

    def drop(self, tails: Sequence[Tail]) -> None:
        """Delete *tails* in the background."""
        if not tails:
            return
        task = asyncio.get_running_loop().create_task(self.checkpoints.drop(tails))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def close(self) -> None:
        """Finish deleting, if that is quick; what is left is the sweeper's."""
        if not self._dropping:
            return
        _, left = await asyncio.wait(tuple(self._dropping), timeout=_CLOSING_S)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _course(self, shipment: Shipment) -> Course:
        return self.courses[shipment.upload]

    async def _write(self, shipment: Shipment, **changes: object) -> None:
        try:
            await self._course(shipment).write(**changes)
        except (UploadLockedError, UploadNotFoundError):
            shipment.lost = True  # for this replica: trying again is of no use
            raise

    async def _is_stored(self, shipment: Shipment, course: Course) -> bool:
        """Whether the object is there, although the record does not say so yet; now it does."""
        head = await self.checkpoints.objects.head(shipment.key)
        info = course.record.info
        length = info.offset if info.length is None else info.length
        if head is None or head.metadata.get(ID_NAME) != shipment.upload or head.size != length:
            return False
        shipment.ready = head.size
        await self.completed(shipment, head)
        return True

    def _info(self, shipment: Shipment, offset: int) -> UploadInfo:
        return replace(
            self._course(shipment).record.info,
            offset=Offset(offset),
            length=shipment.info.length,
            awaits_end=shipment.info.awaits_end,
            modified_at=self.checkpoints.clock(),
        )
