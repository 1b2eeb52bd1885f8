"""After a restart: every upload in the spool goes on where its journal says that it was."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NAME
from fileloft_fast.errors import StoreError, TooLargeError, UploadNotFoundError
from fileloft_fast.flush.journal import (
    Begin,
    Completed,
    Completing,
    Entry,
    Frame,
    Hole,
    Part,
    Session,
    Withdrawn,
)
from fileloft_fast.model import UPLOAD_ID_PATTERN, Concat, Offset, UploadId
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.hashing import is_to_be_hashed, keep_running
from fileloft_fast.stores.remote.objects import ObjectHead
from fileloft_fast.stores.running import Running

if TYPE_CHECKING:
    from fileloft_fast.flush.compress import Compressor
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.ledger import SpoolLedger
    from fileloft_fast.flush.mode import Mode
    from fileloft_fast.flush.removal import Removal
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.flush.spool import Spool
    from fileloft_fast.stores.fs.found import FsFound

log = logging.getLogger(__name__)

_OWNER_NAME: Final = b"spool.id"
_FILE: Final = re.compile(rf"({UPLOAD_ID_PATTERN})\.(info|journal)")


class Memory(Struct):
    """What a journal says, read to its end."""

    begin: Begin | None = None
    sessions: list[str] = []
    parts: dict[int, Part] = {}
    hole_end: int = 0
    frame: Frame | None = None
    completed: Completed | None = None
    withdrawn: bool = False


def remember(entries: Sequence[Entry]) -> Memory:  # noqa: C901 - a case for each
    """Return what *entries* amount to: of what a new session replaces nothing is left."""
    memory = Memory()
    for entry in entries:
        match entry:
            case Begin():
                memory.begin = entry
            case Session():
                memory.sessions.append(entry.name)
                memory.parts = {}
            case Part():
                memory.parts[entry.number] = entry
            case Hole():
                memory.hole_end = max(memory.hole_end, entry.end)
            case Frame():
                memory.frame = entry
            case Completed():
                memory.completed = entry
            case Withdrawn() | Completing():  # of the latter the store knows what came of it
                memory.withdrawn = isinstance(entry, Withdrawn)
    return memory


async def ensure_owner(spool: Spool) -> str:
    """Return the name of *spool*, which the bucket knows it by; made once. Raises OSError."""
    engine = spool.engine
    try:
        descriptor, size = await engine.open(spool.directory, _OWNER_NAME, os.O_RDONLY)
    except FileNotFoundError:
        owner = secrets.token_hex(16)
        await engine.replace(spool.directory, _OWNER_NAME, owner.encode(), SYNC_NAME)
        return owner
    try:
        return (await engine.read(descriptor, size, 0)).decode("ascii")
    finally:
        os.close(descriptor)


class Recovery:
    """Finds the uploads of finish and spool mode again.

    *squeeze* makes the compressor of an upload that was begun with one.
    """

    def __init__(
        self,
        dock: Dock,
        mode: Mode,
        ledger: SpoolLedger,
        removal: Removal,
        squeeze: Callable[[UploadId, Sequence[Entry], int], Compressor],
    ) -> None:
        self._dock = dock
        self._mode = mode
        self._ledger = ledger
        self._removal = removal
        self._squeeze = squeeze

    async def run(self) -> int:
        """Ship every upload that is not where it is to be kept; return how many these are.

        One of which it is not known for sure what has left is set aside. Raises OSError.
        """
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(None, os.listdir, self._dock.spool.directory)
        uploads, journals = _sorted(names)
        for upload in uploads | journals:
            try:
                await self._recover(upload, has_info=upload in uploads, noted=upload in journals)
            except (StoreError, TooLargeError) as error:
                await self._set_aside(upload, error)
        return len(self._dock.flusher.shipments)

    async def _set_aside(self, upload: UploadId, reason: Exception) -> None:
        """Touch nothing of *upload* any more."""
        flusher = self._dock.flusher
        shipment = flusher.shipments.get(upload)
        if shipment is not None:
            await flusher.halt(shipment)
            flusher.forget(shipment)
        self._ledger.close(upload)
        self._dock.quarantine.add(upload, reason)

    async def _recover(self, upload: UploadId, *, has_info: bool, noted: bool) -> None:
        entries = await self._ledger.journal(upload).read() if noted else []
        memory = remember(entries)
        if memory.withdrawn:
            await self._removal.withdraw(upload, memory.sessions)
            return
        if not has_info:
            # A power cut took the name of the upload. The object may be there, so it is nobody's
            # to delete.
            log.warning("journal without an upload", extra=fields(id=upload))
            self._ledger.close(upload)
            return
        try:
            found = await self._dock.spool.load(upload)
        except UploadNotFoundError:
            # Its data is gone, so it was on its way out; or it was made, and nothing was promised.
            await self._ledger.forget(upload)
            return
        await self._go_on(found, memory, entries)

    async def _go_on(self, found: FsFound, memory: Memory, entries: Sequence[Entry]) -> None:
        upload = found.info.id
        self._check_place(upload, memory.begin)
        if memory.begin is None and memory.frame is None:
            self._ledger.close(upload)
            found = await self._hashed(found)
            shipment = self._dock.shipment(found.info, ships=self._mode.ships(found.info))
            shipment.asked = found.info.complete
            self._dock.release(shipment)
        else:
            shipment = self._restored(found, memory, entries)
            found = await self._reconciled(found, shipment)
            if memory.begin is not None:
                await self._ledger.resume(shipment)
            shipment.arrive(found.info)
            shipment.asked = found.info.complete
            if memory.completed is not None:
                shipment.stored = ObjectHead(
                    key=shipment.key, size=shipment.ready, tag=memory.completed.tag
                )
            shipment.halted += 1  # it leaves with what it hashes to, if that can be known
            self._dock.flusher.add(shipment)
            await self._catch_up(found, memory, shipment)
            shipment.arrive((await self._hashed(found)).info)
            self._dock.flusher.resume(shipment)
        if found.info.concat is Concat.FINAL and not found.info.complete:
            await self._mode.remove(upload)  # whoever put it together was never told of it

    async def _catch_up(self, found: FsFound, memory: Memory, shipment: Shipment) -> None:
        """Let the slot of the hashes be of a place from which the bytes are here."""
        slot, info = found.slot, found.info
        if slot is None or info.digests:
            return
        fits = range(shipment.hole_end, info.offset + 1)
        states = {each.end: each.running for each in memory.parts.values() if each.running}
        running = Running.maybe_restored(info.hashes, slot.value)
        ends = [end for end in states if end in fits]
        if ends and (running is None or running.at not in range(max(ends), info.offset + 1)):
            await self._dock.spool.keep_hashes(found, states[max(ends)].encode())

    async def _hashed(self, found: FsFound) -> FsFound:
        """Return *found* with its digests, where it is complete and a crash has left none."""
        if not (found.info.complete and is_to_be_hashed(found)):
            return found
        spool = self._dock.spool
        found = replace(found, slot=(await spool.load(found.info.id)).slot)
        return replace(found, info=await keep_running(spool, found, None))

    def _check_place(self, upload: UploadId, begin: Begin | None) -> None:
        """Raise StoreError where the upload was begun elsewhere: its session is not here."""
        if begin is None:
            return
        there, here = (begin.bucket, begin.key), (self._ledger.bucket, self._dock.key(upload))
        if begin.key != here[1] or (all((there[0], here[0])) and there[0] != here[0]):
            raise StoreError(
                f"it was begun as {' '.join(there).strip()}, and would go on as"
                f" {' '.join(here).strip()}: set FILELOFT_S3_BUCKET and FILELOFT_S3_PREFIX, or"
                " those of GCS or Azure, to what they were"
            )

    def _restored(self, found: FsFound, memory: Memory, entries: Sequence[Entry]) -> Shipment:
        """Return the shipment that the journal describes, without the upload's bytes."""
        compressor = None
        level = 0 if memory.begin is None else memory.begin.zstd
        if level or memory.frame is not None:
            compressor = self._squeeze(found.info.id, entries, level)
        shipment = self._dock.new_shipment(found.info, compressor=compressor)
        if memory.begin is None:
            return shipment
        session = memory.sessions[-1] if memory.sessions else ""
        shipment.restore(memory.begin.part_bytes, session)
        for part in memory.parts.values():
            shipment.accept(part.receipt)
        shipment.keeps = memory.begin.keeps
        shipment.punched_to = memory.hole_end if shipment.keeps else shipment.shipped_end
        if compressor is not None:
            shipment.raw_punched_to = compressor.raw_end
        return shipment

    async def _reconciled(self, found: FsFound, shipment: Shipment) -> FsFound:
        """Return *found* with every byte that has left, which a power cut may have cut off."""
        end = Offset(max(found.info.offset, shipment.fixed_end))
        shipment.forget_from(end)
        if found.info.offset == end:
            return found
        if shipment.keeps and shipment.compressor is None:
            # What has left is here no more, and from now on the size will not tell that.
            await self._ledger.hole(shipment, end)
            shipment.punched_to = end
        found = replace(found, info=replace(found.info, offset=end))
        if found.marked:
            await self._dock.spool.cut(found)
            return replace(found, marked=False)
        await self._dock.spool.truncate(found)
        return found


def _sorted(names: Sequence[str]) -> tuple[set[UploadId], set[UploadId]]:
    """Return the uploads that have an ``.info``, and those that have a journal."""
    found: dict[str, set[UploadId]] = {"info": set(), "journal": set()}
    for name in names:
        match = _FILE.fullmatch(name)
        if match is not None:
            found[match[2]].add(UploadId(match[1]))
    return found["info"], found["journal"]
