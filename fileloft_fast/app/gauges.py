"""What cannot be counted where it happens: looked at twice a second, and before each scrape."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from fileloft_fast.errors import StoreError
from fileloft_fast.observe.log import fields
from fileloft_fast.observe.request import request_of

if TYPE_CHECKING:
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.flush.flusher import Flusher
    from fileloft_fast.http1.site import Site
    from fileloft_fast.model import Body

T = TypeVar("T")

log = logging.getLogger(__name__)

_EVERY_S: Final = 0.5
_DEAR_EVERY: Final = 20  # looks at what grows with the number of descriptors or shipments
_SLICE: Final = 256  # uploads: half a millisecond
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Gauges:
    """Brings the board of one serving process up to date."""

    def __init__(self, storage: Storage, site: Site) -> None:
        self.looked = asyncio.Event()
        """Set for a moment after each look of ``run``: wakes whoever waits for it."""
        self._storage = storage
        self._site = site
        self._board = storage.board
        self._lags = self._board.histogram("fileloft_loop_lag_seconds")
        self._received = self._board.cell("tusd_bytes_received")
        self._looks = 0
        self._looked_at = time.monotonic()
        self._cpu_s = 0.0
        self._sent = 0
        self._shipped = 0
        self._failing = False

    async def run(self) -> None:
        """Look until cancelled. A loop that is late for this is late for everybody."""
        while True:
            due = time.monotonic() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self._lags.observe(max(0.0, time.monotonic() - due))
            try:
                await self.refresh()
            except Exception:  # a bug of ours here must not end the counting
                log.exception("gauges failed")
            self.looked.set()
            self.looked.clear()

    async def refresh(self) -> None:
        """Look now."""
        try:
            self._set("fileloft_disk_free_bytes", await self._storage.store.free_bytes())
            self._failing = False
        except StoreError as error:
            if not self._failing:
                log.warning("free space unknown", extra=fields(error=error))
            self._failing = True
        await self._count_arrivals()
        self._count_departures()
        self._set("tusd_connections_open", len(self._site.connections))
        self._set("fileloft_requests_running", len(self._site.running))
        self._set("fileloft_draining", self._site.draining)
        self._set("fileloft_workers", 1)
        if self._storage.flusher is not None:
            self._look_at_flusher(self._storage.flusher)
        self._look_at_process()
        self._looks += 1

    async def _count_arrivals(self) -> None:
        """Count the bytes of bodies that are still under way, so that no long one comes as one.

        Slice by slice: ten thousand at once are 25 ms for which nobody is answered.
        """
        now = time.monotonic()
        spent_s, self._looked_at = now - self._looked_at, now
        moved: dict[Body | None, int] = {}
        held = transfers = 0
        async for queue in unhurried(self._storage.holds()):
            held += 1
            holder = queue[0] if queue else None
            if holder is not None and holder.transfer is not None:
                moved[holder.body] = holder.transfer.moved
                transfers += 1
        async for body in unhurried(self._site.running):
            if body not in self._site.running:  # ended since, and all of it was counted then
                continue
            received, request = max(body.received, moved.get(body, 0)), request_of(body)
            came = max(0, received - request.counted)  # a scrape may have looked meanwhile
            request.counted += came
            self._board.cells[self._received] += came
            request.rate = came / spent_s if spent_s else 0.0
        self._set("fileloft_uploads_held", held)
        self._set("fileloft_transfers_running", transfers)

    def _count_departures(self) -> None:
        """Count the bytes of answers that are still under way, too."""
        gone = self._site.sent_bytes + sum(each.moved for each in self._site.sendings)
        sent, self._sent = gone - self._sent, gone
        self._board.add("fileloft_bytes_sent_total", by=max(0, sent))

    def _look_at_flusher(self, flusher: Flusher) -> None:
        self._set("fileloft_flush_waiting_bytes", flusher.room.backlog)
        self._set("fileloft_flush_shipments", len(flusher.shipments))
        self._set("fileloft_store_away", flusher.away)
        for lane, waiting in flusher.queues().items():
            self._set("fileloft_flush_queue", waiting, lane)
        shipped, self._shipped = flusher.taken - self._shipped, flusher.taken
        self._board.add("fileloft_flush_sent_bytes_total", by=shipped)
        if self._looks % _DEAR_EVERY == 0 or len(flusher.shipments) <= _SLICE:
            here = (shipment.spooled for shipment in flusher.shipments.values())
            self._set("fileloft_spool_bytes", sum(here))

    def _look_at_process(self) -> None:
        times = os.times()
        cpu_s = times.user + times.system
        self._board.add("process_cpu_seconds_total", by=cpu_s - self._cpu_s)
        self._cpu_s = cpu_s
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        self._set("process_resident_memory_bytes", pages * _PAGE_BYTES)
        if self._looks % _DEAR_EVERY == 0:
            self._set("process_open_fds", _open_descriptors())

    def _set(self, name: str, value: float, *labels: str) -> None:
        self._board.cells[self._board.cell(name, *labels)] = value


async def unhurried(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield what *items* are now; between slices of them others have their turn."""
    for number, item in enumerate(tuple(items), 1):
        yield item
        if number % _SLICE == 0:
            await asyncio.sleep(0)


def _open_descriptors() -> int:
    """Return how many there are. From Linux 6.2 on that is the folder's size: no name is read."""
    descriptors = "/proc/self/fd"
    return os.stat(descriptors).st_size or len(os.listdir(descriptors))  # noqa: PTH116, PTH208 - no objects
