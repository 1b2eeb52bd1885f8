"""What of a shipment has to outlive this process, and who is told of it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final, Protocol

from fileloft_fast.dataplane import SYNC_DATA
from fileloft_fast.errors import ConditionFailedError
from fileloft_fast.flush.compress import stored_name
from fileloft_fast.flush.journal import (
    Begin,
    Completed,
    Completing,
    Entry,
    Hole,
    Journal,
    Part,
    Session,
)
from fileloft_fast.flush.record import Record, RecordState, record_key, render_record
from fileloft_fast.flush.unbroken import unbroken
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Attributes,
    ObjectHead,
    Objects,
    Receipt,
)

if TYPE_CHECKING:
    from fileloft_fast.flush.copies import Copies
    from fileloft_fast.flush.quarantine import Quarantine
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores import FsStore

log = logging.getLogger(__name__)

RECORD_ATTRIBUTES: Final = Attributes(content_type="application/json")


class Ledger(Protocol):
    """Where shipments are written down. A step counts once its method has returned.

    Every method may be called again after it has failed. Raises StoreError.
    """

    async def begin(self, shipment: Shipment) -> None:
        """A session is going to be opened: whoever finds it must be able to tell whose it is."""

    async def session(self, shipment: Shipment, name: str) -> None:
        """A session was opened; of an earlier one nothing is left."""

    async def part(self, shipment: Shipment, receipt: Receipt, offset: int) -> bool:
        """The store has a part. Return whether its bytes may leave the spool now."""

    async def accepted(self, shipment: Shipment) -> None:
        """A part that was noted counts in *shipment* by now. Raises StoreError."""

    async def hole(self, shipment: Shipment, end: int) -> None:
        """The source's bytes before *end*, which may not have left the spool yet, are going to."""

    async def completing(self, shipment: Shipment, crc32c: int) -> None:
        """The store is going to be asked for the object."""

    async def completed(self, shipment: Shipment, head: ObjectHead) -> None:
        """The object is there."""

    async def settle(self, shipment: Shipment) -> None:
        """Tell the bucket that the upload is stored, and remove what is left here."""

    async def lose(self, shipment: Shipment) -> None:
        """The upload cannot be finished any more: nobody must go on with it."""


class SpoolLedger:
    """The ledger of finish and spool mode: a journal beside the spooled file.

    The record in the bucket is written twice for a large upload, to claim its session and when it
    is stored, and once for a small one. *owner* names the spool, *bucket* where its objects go.
    *copies*: of spool mode, which acknowledges what is in the spool and keeps it there.
    """

    def __init__(  # noqa: PLR0913 - what the assembly puts together
        self,
        spool: FsStore,
        objects: Objects,
        quarantine: Quarantine,
        *,
        prefix: str,
        owner: str,
        bucket: str = "",
        copies: Copies | None = None,
    ) -> None:
        self.bucket = bucket
        self._spool = spool
        self._objects = objects
        self._quarantine = quarantine
        self._prefix = prefix
        self._owner = owner
        self._copies = copies
        self._journals: dict[UploadId, Journal] = {}

    def journal(self, upload: UploadId) -> Journal:
        """Return the journal of *upload*, whether or not there is such a file."""
        journal = self._journals.get(upload)
        if journal is None:
            journal = Journal(
                self._spool.engine, self._spool.directory, f"{upload}.journal".encode()
            )
            self._journals[upload] = journal
        return journal

    def close(self, upload: UploadId) -> None:
        """Nothing will be written of *upload* any more."""
        self._journals.pop(upload, None)

    async def begin(self, shipment: Shipment) -> None:
        """Write the journal, then the record; see ``Ledger``."""
        if not shipment.begun:
            await self._keep_info(shipment.upload)
            await self._note_begin(shipment, keeps=self._copies is not None)
            shipment.begun = True
        await self._write_record(shipment, RecordState.OPEN)

    async def resume(self, shipment: Shipment) -> None:
        """Take over a shipment that a journal has told of, perhaps one of the other mode."""
        if self._copies is None:
            shipment.gives_way = True
            return
        if not shipment.keeps:
            await self._note(shipment, Hole(shipment.punched_to))
            await self._note_begin(shipment, keeps=True)
        self._copies.add(shipment)

    async def session(self, shipment: Shipment, name: str) -> None:
        """See ``Ledger``."""
        await self._note(shipment, Session(name))

    async def part(self, shipment: Shipment, receipt: Receipt, offset: int) -> bool:
        """See ``Ledger``."""
        running = shipment.states.get(offset + receipt.size, b"").decode()
        await self._note(
            shipment,
            Part(receipt.number, offset, receipt.size, receipt.tag, receipt.crc32c, running),
        )
        if not shipment.keeps:
            return True
        if self._copies is None:
            shipment.gives_way = True
        else:
            self._copies.add(shipment)
        return False

    async def accepted(self, shipment: Shipment) -> None:
        """Make room, now that the part is one of the copies; see ``Ledger``."""
        if self._copies is not None and shipment.keeps:
            await self._copies.make_room()

    async def hole(self, shipment: Shipment, end: int) -> None:
        """See ``Ledger``."""
        await self._note(shipment, Hole(end))

    async def completing(self, shipment: Shipment, crc32c: int) -> None:
        """See ``Ledger``."""
        await self._note(shipment, Completing(shipment.ready, crc32c))

    async def completed(self, shipment: Shipment, head: ObjectHead) -> None:
        """Write the journal, where there is one; a small object is found by its key."""
        if shipment.begun:
            await self._note(shipment, Completed(head.tag))

    async def settle(self, shipment: Shipment) -> None:
        """See ``Ledger``."""
        await self._write_record(shipment, RecordState.STORED)
        await self.forget(shipment.upload)

    async def lose(self, shipment: Shipment) -> None:
        """Delete the record, which claims a session that is gone, and leave the spool.

        What was acknowledged as complete stays, for whoever can make something of the rest.
        """
        if shipment.keeps and shipment.info.complete:
            self._quarantine.add(shipment.upload, "the store has lost parts that are not here")
            self.close(shipment.upload)
            return
        log.error("upload lost: the store forgot its parts", extra=fields(id=shipment.upload))
        await self._objects.delete(record_key(self._prefix, shipment.upload))
        await self.forget(shipment.upload)

    async def forget(self, upload: UploadId, *, keep_journal: bool = False) -> bool:
        """Remove everything of *upload* from the spool; False where there was nothing.

        ``.info`` goes last: without the data it says that the rest was on its way out.
        """
        name = upload.encode()
        names = [name, stored_name(upload), name + b".info"]
        if not keep_journal:
            self.close(upload)
            names.insert(2, name + b".journal")
        try:
            # To its end: nobody may make such a file again while this one is being removed.
            return await unbroken(self._spool.engine.remove(self._spool.directory, names)) > 0
        except OSError as error:
            raise store_error(error) from error

    async def _note_begin(self, shipment: Shipment, *, keeps: bool) -> None:
        await self._note(
            shipment,
            Begin(
                shipment.key,
                shipment.part_bytes,
                self._owner,
                shipment.zstd,
                keeps,
                self.bucket,
            ),
        )
        shipment.keeps = keeps

    async def _note(self, shipment: Shipment, entry: Entry) -> None:
        # To its end: a line that is still under way must not come after what is done next.
        await unbroken(self.journal(shipment.upload).append(entry))

    async def _keep_info(self, upload: UploadId) -> None:
        """Sync ``.info``: from now on a power cut must not take the upload, whose parts leave."""
        name = upload.encode() + b".info"
        try:
            await self._spool.engine.append(self._spool.directory, name, b"", 0, SYNC_DATA)
        except OSError as error:
            raise store_error(error) from error

    async def _write_record(self, shipment: Shipment, state: RecordState) -> None:
        stored = shipment.stored
        record = Record(
            info=shipment.info,
            state=state,
            owner=self._owner,
            part_bytes=shipment.part_bytes if shipment.begun else 0,
            object_bytes=0 if stored is None else stored.size,
            encoding="zstd" if shipment.zstd else "",
        )
        # A claim that comes late, by way of a slow proxy, must not undo what was stored since.
        condition = ABSENT if state is RecordState.OPEN else None
        with contextlib.suppress(ConditionFailedError):
            await self._objects.put(
                record_key(self._prefix, shipment.upload),
                render_record(record),
                RECORD_ATTRIBUTES,
                condition,
            )
