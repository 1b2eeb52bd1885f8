"""The spool: a directory of uploads, parts of which may have left already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.model import Offset
from fileloft_fast.stores.fs.store import FsStore

if TYPE_CHECKING:
    from fileloft_fast.flush.flusher import Flusher
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores.fs.found import FsFound


class Spool(FsStore):
    """A ``FsStore`` that never takes bytes back which have left, nor while they are leaving.

    That happens where a sync fails: what cannot be synced is cut off.
    """

    flusher: Flusher | None = None

    def first_byte(self, upload: UploadId) -> int:
        """Return where the holes end; see ``FsStore``."""
        shipment = None if self.flusher is None else self.flusher.shipments.get(upload)
        return 0 if shipment is None else shipment.hole_end

    async def truncate(self, found: FsFound) -> None:
        """Take back bytes after ``found.info.offset``, but for those that have left."""
        shipment = None if self.flusher is None else self.flusher.shipments.get(found.info.id)
        if self.flusher is None or shipment is None or shipment.info.offset <= found.info.offset:
            await super().truncate(found)
            return
        await self.flusher.halt(shipment)
        try:
            offset = Offset(max(found.info.offset, shipment.fixed_end))
            found = replace(found, info=replace(found.info, offset=offset))
            await super().truncate(found)
            shipment.forget_from(offset)
            shipment.arrive(found.info)
        finally:
            self.flusher.resume(shipment)
