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
    Part,
    Session,
    Withdrawn,
)
from fileloft_fast.model import UPLOAD_ID_PATTERN, Concat, Offset, UploadId
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.remote.objects import ObjectHead

if TYPE_CHECKING:
    from fileloft_fast.flush.compress import Compressor
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.ledger import SpoolLedger
    from fileloft_fast.flush.mode import Mode
    from fileloft_fast.flush.removal import Removal
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.flush.spool import Spool
    from fileloft_fast.stores.fs.store import FsFound

log = logging.getLogger(__name__)

_OWNER_NAME: Final = b"spool.id"
_FILE: Final = re.compile(rf"({UPLOAD_ID_PATTERN})\.(info|journal)")


class Memory(Struct):
    """What a journal says, read to its end."""

    begin: Begin | None = None
    sessions: list[str] = []
    parts: dict[int, Part] = {}
    frame: Frame | None = None
    completed: Completed | None = None
    withdrawn: bool = False


def remember(entries: Sequence[Entry]) -> Memory:
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

        An upload that cannot be read is logged and left alone. Raises OSError.
        """
        loop = asyncio.get_running_loop()
        names = await loop.run_in_executor(None, os.listdir, self._dock.spool.directory)
        uploads, journals = _sorted(names)
        for upload in uploads | journals:
            try:
                await self._recover(upload, has_info=upload in uploads, noted=upload in journals)
            except (StoreError, TooLargeError) as error:
                log.error(  # noqa: TRY400 - what is wrong is a file, not the program
                    "upload not recovered", extra=fields(id=upload, error=error)
                )
        return len(self._dock.flusher.shipments)

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
        if memory.begin is None and memory.frame is None:
            self._ledger.close(upload)
            shipment = self._dock.shipment(found.info, ships=self._mode.ships(found.info))
            shipment.asked = found.info.complete
            self._dock.release(shipment)
        else:
            shipment = self._restored(found, memory, entries)
            found = await self._reconciled(found, shipment)
            shipment.arrive(found.info)
            shipment.asked = found.info.complete
            if memory.completed is not None:
                shipment.stored = ObjectHead(
                    key=shipment.key, size=shipment.ready, tag=memory.completed.tag
                )
            self._dock.flusher.add(shipment)
        if found.info.concat is Concat.FINAL and not found.info.complete:
            await self._mode.remove(upload)  # whoever put it together was never told of it

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
        shipment.punched_to = shipment.shipped_end
        if compressor is not None:
            shipment.raw_punched_to = compressor.raw_end
        return shipment

    async def _reconciled(self, found: FsFound, shipment: Shipment) -> FsFound:
        """Return *found* with every byte that has left, which a power cut may have cut off."""
        end = Offset(max(found.info.offset, shipment.fixed_end))
        shipment.forget_from(end)
        if found.info.offset == end:
            return found
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
