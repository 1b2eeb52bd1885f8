"""Backpressure: which upload's client has to wait until bytes have left the spool."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.errors import ShuttingDownError, UploadNotFoundError

if TYPE_CHECKING:
    from fileloft_fast.flush.shipment import Shipment

_LOOK_AGAIN_S: Final = 1.0
"""The disk is shared: nobody tells when others have freed some of it."""


class SpoolLimits(Struct, frozen=True, kw_only=True):
    """When there is no room. 0 and None: no such limit.

    *parts_each*: whole parts that one upload may have waiting. *spool_max_bytes*: what all uploads
    together may. *min_free_bytes*: free space of the disk.
    """

    parts_each: int | None = None
    spool_max_bytes: int = 0
    min_free_bytes: int = 0


class SpoolRoom:
    """Makes clients wait while the spool is full.

    Only bytes that could leave now count, and only an upload that has such bytes waits: it will be
    shipped, so that every wait comes to an end. Nobody waits for the rest of somebody's part.
    """

    def __init__(self, limits: SpoolLimits, free_bytes: Callable[[], Awaitable[int]]) -> None:
        self.limits = limits
        self._free_bytes = free_bytes
        self._backlog = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False
        self.make_room: Callable[[], Awaitable[None]] | None = None
        """Frees what is kept for safety's sake; asked before anybody has to wait."""

    @property
    def backlog(self) -> int:
        """Bytes of all uploads that could leave now."""
        return self._backlog

    def count(self, shipment: Shipment, *, gone: bool = False) -> None:
        """Take note of what *shipment* has waiting now."""
        before, now = shipment.counted, 0 if gone else shipment.backlog
        shipment.counted = now
        self._backlog += now - before
        if now < before:
            self._wake()

    def close(self) -> None:
        """Let nobody wait any longer: nothing will leave."""
        self._closed = True
        self._wake()

    async def wait(self, shipment: Shipment) -> None:
        """Return when the client of *shipment* may send more.

        Raises UploadNotFoundError where it is lost, and ShuttingDownError after ``close``.
        """
        while await self._is_full(shipment):
            if self._closed:
                raise ShuttingDownError("the server is stopping")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await waiter
            finally:
                self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _is_full(self, shipment: Shipment) -> bool:
        if shipment.lost:
            raise UploadNotFoundError("no such upload")
        backlog, limits = shipment.backlog, self.limits
        if not backlog:
            return False
        if self.make_room is not None:
            await self.make_room()
        if limits.parts_each and backlog >= limits.parts_each * shipment.part_bytes:
            return True
        if limits.spool_max_bytes and self._backlog >= limits.spool_max_bytes:
            return True
        return bool(limits.min_free_bytes) and await self._free_bytes() < limits.min_free_bytes
