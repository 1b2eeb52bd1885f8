"""Taking an upload away: from the spool, from the bucket, and off the way between them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import StoreError
from fileloft_fast.flush.journal import Withdrawn
from fileloft_fast.flush.record import RecordState, parse_record, record_key
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.ledger import SpoolLedger
    from fileloft_fast.flush.orphans import Orphans
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.model import UploadId

log = logging.getLogger(__name__)

_CLEANING_S: Final = 5.0
"""A client waits meanwhile; what is still in the bucket then is the sweeper's."""


class Removal:
    """Removes uploads in finish and spool mode. Raises StoreError.

    What is here goes at once. A journal that ends with ``Withdrawn`` stays until the bucket has
    nothing of it left.
    """

    def __init__(self, dock: Dock, ledger: SpoolLedger, orphans: Orphans) -> None:
        self._dock = dock
        self._ledger = ledger
        self._orphans = orphans
        self._withdrawn: dict[UploadId, tuple[str, ...]] = {}

    def __contains__(self, upload: UploadId) -> bool:
        """Whether *upload* was removed, although the bucket may still have something of it."""
        return upload in self._withdrawn

    async def shipment(self, shipment: Shipment) -> None:
        """Remove an upload that is on its way."""
        flusher, upload = self._dock.flusher, shipment.upload
        whole = await flusher.halt(shipment, patience_s=_CLEANING_S)
        try:
            if not (shipment.begun or shipment.asked):
                await self._ledger.forget(upload)
            else:
                await self._ledger.journal(upload).append(Withdrawn())
                await self.withdraw(upload, [shipment.session])
        except BaseException:
            flusher.resume(shipment)
            raise
        flusher.forget(shipment)
        if upload in self._withdrawn:
            await self._maybe_clean(upload, whole=whole)

    async def withdraw(self, upload: UploadId, sessions: Iterable[str]) -> None:
        """Remove the files of an upload whose journal says so; ``clean`` does the rest."""
        await self._ledger.forget(upload, keep_journal=True)
        self._withdrawn[upload] = tuple(filter(None, sessions))

    async def clean(self) -> int:
        """Take out of the bucket what was removed here; return how many uploads that were.

        One that the store refuses is logged, and left for the next time.
        """
        before = len(self._withdrawn)
        for upload in tuple(self._withdrawn):
            try:
                await self._clean(upload)
            except StoreError as error:
                log.warning("left for the sweeper", extra=fields(id=upload, error=error))
        return before - len(self._withdrawn)

    async def stored(self, upload: UploadId) -> bool:
        """Remove an upload that only the bucket has; False where it has none."""
        objects, key = self._dock.objects, record_key(self._dock.prefix, upload)
        fetched = await objects.fetch(key)
        record = None if fetched is None else parse_record(fetched[0], upload)
        if record is None or record.state is not RecordState.STORED:
            return False
        await objects.delete(self._dock.key(upload))
        await objects.delete(key)  # last: a client that tries again must still find the upload
        return True

    async def _maybe_clean(self, upload: UploadId, *, whole: bool) -> None:
        """Clean up now; what was cut off may come true later, so the sweeper looks again."""
        try:
            async with asyncio.timeout(_CLEANING_S):
                if whole:
                    await self._clean(upload)
                else:
                    await self._orphans.withdraw(upload, self._withdrawn[upload])
        except (StoreError, TimeoutError) as error:
            log.warning("left for the sweeper", extra=fields(id=upload, error=error))

    async def _clean(self, upload: UploadId) -> None:
        await self._orphans.withdraw(upload, self._withdrawn[upload])
        await self._ledger.journal(upload).remove()
        self._ledger.close(upload)
        self._withdrawn.pop(upload, None)
