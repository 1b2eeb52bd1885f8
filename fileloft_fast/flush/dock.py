"""Where uploads become shipments: what the store, its mode and its appenders share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from fileloft_fast.flush.compress import Compressor, stored_bound
from fileloft_fast.flush.parts import plan_part_bytes
from fileloft_fast.flush.quarantine import Quarantine
from fileloft_fast.flush.shipment import Shipment
from fileloft_fast.model import UploadId

if TYPE_CHECKING:
    from fileloft_fast.flush.carrier import Told
    from fileloft_fast.flush.flusher import Flusher
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.stores import FsStore
    from fileloft_fast.stores.remote.objects import Objects

Squeeze: TypeAlias = Callable[[UploadId], Compressor]


class Dock:
    """The spool on one side, the bucket on the other.

    *part_bytes*: the size of parts that is wished for. *max_size*: of an upload, 0 for any.
    *squeeze* makes the compressor of a new upload, None where objects are kept as they are.
    *quarantine*: which uploads are set aside. *told* hears of objects that are there.
    """

    def __init__(  # noqa: PLR0913 - what the assembly puts together
        self,
        spool: FsStore,
        objects: Objects,
        flusher: Flusher,
        *,
        prefix: str,
        part_bytes: int,
        max_size: int = 0,
        squeeze: Squeeze | None = None,
        quarantine: Quarantine | None = None,
        told: Told | None = None,
    ) -> None:
        self.spool = spool
        self.objects = objects
        self.flusher = flusher
        self.prefix = prefix
        self.quarantine = Quarantine() if quarantine is None else quarantine
        self.told = told
        self._part_bytes = part_bytes
        self._max_size = max_size
        self._squeeze = squeeze

    def key(self, upload: UploadId) -> str:
        """Return the key of the upload's object."""
        return f"{self.prefix}{upload}"

    def plan(self, length: int | None) -> int:
        """Return the size of parts. Raises TooLargeError where the store does not take *length*."""
        limits, wanted = self.objects.limits, self._part_bytes
        if self._squeeze is None:
            return plan_part_bytes(limits, wanted, length, self._max_size)
        most = self._max_size if length is None else length
        return plan_part_bytes(limits, wanted, None, stored_bound(most) if most else 0)

    def shipment(self, info: UploadInfo, *, ships: bool = True) -> Shipment:
        """Return the shipment of *info*; a new one, which knows its bytes, where there was none.

        Raises StoreError where the upload was set aside.
        """
        shipment = self.flusher.shipments.get(info.id)
        if shipment is None:
            self.quarantine.check(info.id)
            squeeze = self._squeeze if ships else None
            compressor = None if squeeze is None else squeeze(info.id)
            shipment = self.new_shipment(info, ships=ships, compressor=compressor)
            shipment.arrive(info)
            self.flusher.add(shipment)
        return shipment

    def new_shipment(
        self, info: UploadInfo, *, ships: bool = True, compressor: Compressor | None = None
    ) -> Shipment:
        """Return a shipment that nobody has heard of yet."""
        return Shipment(
            info,
            self.key(info.id),
            self.objects.limits,
            self.plan,
            ships=ships,
            compressor=compressor,
        )

    def arrived(self, shipment: Shipment, info: UploadInfo) -> None:
        """Bytes are verified and in the spool: what *info* says of them."""
        shipment.arrive(info)
        self.flusher.wake(shipment)

    def release(self, shipment: Shipment) -> None:
        """Forget a shipment that nobody would miss; the spool has all there is to know."""
        if shipment.idle:
            self.flusher.forget(shipment)
