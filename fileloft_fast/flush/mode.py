"""What an acknowledgement promises (``FILELOFT_ACK``): finish and spool; chunk is elsewhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from fileloft_fast.errors import NotStoredError, UploadNotFoundError
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.found import Found, RemoteFound, SpoolFound
from fileloft_fast.flush.record import (
    RECORD_SUFFIX,
    RecordState,
    info_of,
    parse_record,
    record_key,
)
from fileloft_fast.model import UPLOAD_ID_PATTERN, Concat, UploadId, UploadInfo

if TYPE_CHECKING:
    from fileloft_fast.flush.dock import Dock
    from fileloft_fast.flush.ledger import SpoolLedger
    from fileloft_fast.flush.removal import Removal
    from fileloft_fast.flush.shipment import Shipment

_LOOK_AGAIN_S: Final = 0.1

_is_upload: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch


class Mode(Protocol):
    """What ``SpooledStore`` does beyond putting bytes into the spool.

    Called by the holder of the upload's lock, but for ``load``, ``confirm`` and ``names``.
    """

    @property
    def guarded(self) -> bool:
        """See ``Store.guarded``."""

    async def stop(self) -> None:
        """Let go of what is open, after the flusher has stopped."""

    def ships(self, info: UploadInfo) -> bool:
        """Whether the bytes of *info* leave the spool as an object of their own."""

    async def created(self, info: UploadInfo, running: bytes = b"") -> None:
        """Promise an upload that was just made in the spool, its first bytes included.

        *running*: what these hash to.
        Whatever it raises, the store removes the upload again.
        """

    async def load(self, upload: UploadId) -> Found:
        """See ``Store.load``."""

    async def opened(self, found: Found) -> SpoolFound:
        """Make ready to append: the spool has the upload's file, of ``info.offset`` bytes."""

    async def declared(self, found: SpoolFound) -> Found:
        """Promise the length, which the spool knows already."""

    async def committed(self, shipment: Shipment, info: UploadInfo) -> UploadInfo:
        """Acknowledge: *info* is in the spool, and its shipment knows of it."""

    async def kept(self, shipment: Shipment, info: UploadInfo) -> None:
        """Take note of a request that ended early. Its bytes are in the spool."""

    async def discarded(self, shipment: Shipment) -> None:
        """Take note of a request whose bytes were taken back, or could not be kept."""

    async def confirm(self, found: Found) -> None:
        """See ``Store.confirm``."""

    async def remove(self, upload: UploadId) -> bool:
        """See ``Store.remove``."""

    def names(self) -> AsyncIterator[UploadId]:
        """See ``Store.names``."""


class FinishMode:
    """A finished upload is acknowledged when the object is in the store; any other when spooled.

    *ttl_s*: when finished uploads expire, None for never; only then they are looked for in the
    bucket. What is not *mine* is another worker's.
    """

    guarded: Final = False

    def __init__(  # noqa: PLR0913 - what the assembly puts together
        self,
        dock: Dock,
        ledger: SpoolLedger,
        removal: Removal,
        *,
        ttl_s: int | None,
        expire_finished: bool = False,
        mine: Callable[[UploadId], bool] = lambda _: True,
    ) -> None:
        self._mine = mine
        self._dock = dock
        self._ledger = ledger
        self._removal = removal
        self._ttl_s = ttl_s
        self._expire_finished = expire_finished

    async def stop(self) -> None:
        """See ``Mode``."""

    def ships(self, info: UploadInfo) -> bool:  # noqa: ARG002 - which SpoolMode looks at
        """Everything leaves; see ``Mode``."""
        return True

    async def created(self, info: UploadInfo, running: bytes = b"") -> None:  # noqa: ARG002 - ChunkMode's
        """See ``Mode``."""
        if info.complete:
            await self.committed(self._dock.shipment(info, ships=self.ships(info)), info)

    async def load(self, upload: UploadId) -> Found:
        """Look into the spool, then into the bucket; see ``Mode``.

        A finished upload leaves the spool only after its record is in the bucket, so it is always
        found in one of them.
        """
        self._dock.quarantine.check(upload)
        try:
            local = await self._dock.spool.load(upload)
        except UploadNotFoundError:
            return await self._load_stored(upload)
        return SpoolFound(self._dated(local.info), local)

    async def opened(self, found: Found) -> SpoolFound:
        """See ``Mode``."""
        assert isinstance(found, SpoolFound), "only finished uploads are not in the spool"
        return found

    async def declared(self, found: SpoolFound) -> SpoolFound:
        """See ``Mode``."""
        return found

    async def committed(self, shipment: Shipment, info: UploadInfo) -> UploadInfo:
        """Wait until a finished upload is stored; see ``Mode``."""
        if info.complete:
            await self._dock.flusher.stored(shipment)
        return info

    async def kept(self, shipment: Shipment, info: UploadInfo) -> None:
        """See ``Mode``."""

    async def discarded(self, shipment: Shipment) -> None:
        """See ``Mode``."""

    async def confirm(self, found: Found) -> None:
        """Wait until a finished upload is stored; see ``Mode``."""
        if isinstance(found, RemoteFound) or not found.info.complete:
            return
        shipment = self._dock.flusher.shipments.get(found.info.id)
        if shipment is not None:
            await self._dock.flusher.stored(shipment)
        elif isinstance(await self.load(found.info.id), SpoolFound):
            raise NotStoredError("the upload is not on its way to the store")

    async def remove(self, upload: UploadId) -> bool:
        """Remove what is here, and from the bucket as soon as it answers; see ``Mode``.

        An upload that only the bucket has stays where the store does not answer, and one that was
        set aside until it is not any more.
        """
        self._dock.quarantine.check(upload)
        shipment = self._dock.flusher.shipments.get(upload)
        if shipment is not None:
            await self._removal.shipment(shipment)
            return True
        return await self._ledger.forget(upload) or await self._removal.stored(upload)

    async def names(self) -> AsyncIterator[UploadId]:
        """See ``Mode``. None that was set aside: it does not expire."""
        async for upload in self._dock.spool.names():
            if upload not in self._dock.quarantine:
                yield upload
        if not self._expire_finished:
            return
        prefix = self._dock.prefix
        async for key in self._dock.objects.list_keys(prefix):
            name = key[len(prefix) :].removesuffix(RECORD_SUFFIX)
            if key.endswith(RECORD_SUFFIX) and _is_upload(name) and self._mine(UploadId(name)):
                yield UploadId(name)

    def _dated(self, info: UploadInfo) -> UploadInfo:
        """Return *info* as the record will say it of a finished upload, whose file still changes.

        Every hole that is punched is a change to a file system, and no byte of the upload.
        """
        shipment = self._dock.flusher.shipments.get(info.id)
        if not info.complete or shipment is None:
            return info
        at = shipment.info.modified_at
        expires_at = None if self._ttl_s is None else at + self._ttl_s
        return replace(info, modified_at=at, expires_at=expires_at)

    async def _load_stored(self, upload: UploadId) -> RemoteFound:
        if upload in self._removal:
            raise UploadNotFoundError("no such upload")
        while True:
            fetched = await self._dock.objects.fetch(record_key(self._dock.prefix, upload))
            record = None if fetched is None else parse_record(fetched[0], upload)
            if fetched is not None and record is not None and record.state is RecordState.STORED:
                return RemoteFound(info_of(record, self._ttl_s), record, fetched[1])
            # One that is open belongs to another spool, or to one that was lost.
            if self._mine(upload) or not await self._is_there(upload):
                raise UploadNotFoundError("no such upload")
            # Another worker has acknowledged it, and will say so here in a moment.
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _is_there(self, upload: UploadId) -> bool:
        """Return whether the bucket has the object of *upload*, whatever its record says."""
        head = await self._dock.objects.head(self._dock.key(upload))
        return head is not None and head.metadata.get(ID_NAME) == upload


class SpoolMode(FinishMode):
    """A finished upload is acknowledged when it is durable in the spool.

    Partial uploads stay there: their final upload is put together on the disk, and shipped.
    """

    def ships(self, info: UploadInfo) -> bool:
        """See ``Mode``."""
        return info.concat is not Concat.PARTIAL

    async def created(self, info: UploadInfo, running: bytes = b"") -> None:  # noqa: ARG002 - ChunkMode's
        """See ``Mode``."""
        if info.complete:
            self._dock.release(self._dock.shipment(info, ships=self.ships(info)))

    async def committed(
        self,
        shipment: Shipment,  # noqa: ARG002 - which FinishMode waits for
        info: UploadInfo,
    ) -> UploadInfo:
        """Return at once: the spool has synced what it promises."""
        return info

    async def confirm(self, found: Found) -> None:
        """Return at once; see ``committed``."""
