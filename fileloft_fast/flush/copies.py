"""Spool mode: bytes that the store has stay in the spool too, as long as there is room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileloft_fast.flush.flusher import Flusher
    from fileloft_fast.flush.shipment import Shipment
    from fileloft_fast.flush.spool_room import SpoolRoom
    from fileloft_fast.model import UploadId


class Copies:
    """What is here of parts that have left, of uploads that are not stored yet.

    The spool has promised these bytes, and a store may forget a session with all its parts: an
    outage of a week is enough. They make room where they are too many: what all uploads hold is
    more than half of the spool's limit, or free space is less than twice what is to stay free.
    """

    def __init__(self, free_bytes: Callable[[], Awaitable[int]]) -> None:
        self._free_bytes = free_bytes
        self._flusher: Flusher | None = None
        self._kept: dict[UploadId, Shipment] = {}

    def serve(self, flusher: Flusher) -> None:
        """Make room for those who wait for some in *flusher*, which ships all these uploads."""
        self._flusher = flusher
        flusher.room.make_room = self.make_room

    def add(self, shipment: Shipment) -> None:
        """Take note of a shipment whose parts stay."""
        self._kept[shipment.upload] = shipment

    async def make_room(self) -> None:
        """Have as many of them punched as are too many. Raises StoreError.

        First those of uploads that their clients still have.
        """
        assert self._flusher is not None
        self._kept = {upload: kept for upload, kept in self._kept.items() if kept.copies}
        excess = await self._excess(self._flusher.room)
        for shipment in sorted(self._kept.values(), key=lambda kept: kept.info.complete):
            if excess <= 0:
                return
            excess -= shipment.copies
            if not shipment.gives_way:
                shipment.gives_way = True
                self._flusher.wake(shipment)

    async def _excess(self, room: SpoolRoom) -> int:
        """Return how many bytes there are too many."""
        limits, excess = room.limits, 0
        if limits.spool_max_bytes:
            held = room.backlog + sum(kept.copies for kept in self._kept.values())
            excess = held - limits.spool_max_bytes // 2
        if limits.min_free_bytes:
            excess = max(excess, 2 * limits.min_free_bytes - await self._free_bytes())
        return excess
