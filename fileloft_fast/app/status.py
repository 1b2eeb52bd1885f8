"""The snapshots of the status page, made of what a serving process knows anyway."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from fileloft_fast.app.gauges import unhurried
from fileloft_fast.app.running import info_of, received_by, state_of
from fileloft_fast.observe.request import request_of
from fileloft_fast.observe.table import METRICS
from fileloft_fast.pages.events import Broadcast
from fileloft_fast.pages.gate import Gate
from fileloft_fast.pages.snapshot import Flushing, Rates, Running, Snapshot, Totals
from fileloft_fast.pages.status import status_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fileloft_fast.access import Access
    from fileloft_fast.app.gauges import Gauges
    from fileloft_fast.app.readiness import Readiness
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.http1.body import RequestBody
    from fileloft_fast.http1.site import Site
    from fileloft_fast.model import Body, RequestHead, Response
    from fileloft_fast.observe.operations import Operation
    from fileloft_fast.uploads.locks import Hold

MOST_UPLOADS: Final = 100
_FRESH_S: Final = 3.0  # what was counted longer ago says nothing of a second
_LAG_WINDOW_S: Final = 60.0
_BRINGING: Final = frozenset({"PATCH", "POST", "PUT"})
_SERIES: Final = {metric.name: metric.series for metric in METRICS}
_ERRORS: Final = _SERIES["tusd_errors_total"]
_REQUESTS: Final = _SERIES["tusd_requests_total"]


def operations(
    status: Status,
    keys: Sequence[str],
    access: Access | None,
    failed: Callable[[Exception, RequestHead | None], Response],
) -> dict[str, Operation]:
    """Return what serves the status page, by path, to whoever has one of *keys*."""
    return status_operations(Gate(keys, access), Broadcast(status.snapshot), failed)


class Status:
    """Looks at one serving process, and at the board of all workers."""

    def __init__(
        self,
        build: Mapping[str, str],
        storage: Storage,
        site: Site,
        gauges: Gauges,
        readiness: Readiness,
    ) -> None:
        self._build = build
        self._storage = storage
        self._site = site
        self._gauges = gauges
        self._readiness = readiness
        self._started = time.monotonic()
        self._looked_at = float("-inf")
        self._counted: tuple[float, ...] = ()
        self._stored = deque[tuple[float, float, float]]()  # when, how many, their lags together
        self._asking: asyncio.Task[list[str]] | None = None
        self._reasons: list[str] | None = None
        self._before: dict[RequestBody, int] = {}
        self._lengths: dict[RequestBody, int | None] = {}

    async def snapshot(self) -> Snapshot:
        """Wait until the gauges have looked anew, twice where that gives a second; look as well."""
        await self._gauges.looked.wait()
        if time.monotonic() - self._looked_at < _FRESH_S:
            await self._gauges.looked.wait()
        now = time.monotonic()
        spent_s, self._looked_at = now - self._looked_at, now
        rates, totals = self._count(spent_s)
        uploads, more = await self._uploads(spent_s)
        return Snapshot(
            at=round(time.time(), 3),
            version=self._build["version"],
            backend=self._build["backend"],
            process=os.getpid(),
            up=round(now - self._started),
            workers=self._sum("fileloft_workers"),
            restarts=self._sum("fileloft_worker_restarts_total"),
            reasons=self._health(),
            rates=rates,
            totals=totals,
            connections=self._sum("tusd_connections_open"),
            held=self._sum("fileloft_uploads_held"),
            disk_free=self._sum("fileloft_disk_free_bytes"),
            flushing=None if self._storage.flusher is None else self._flushing(now),
            uploads=uploads,
            more=more,
        )

    def _count(self, spent_s: float) -> tuple[Rates | None, Totals]:
        errors = {labels: self._sum("tusd_errors_total", *labels) for labels in _ERRORS}
        totals = Totals(
            received=self._sum("tusd_bytes_received"),
            sent=self._sum("fileloft_bytes_sent_total"),
            requests=sum(self._sum("tusd_requests_total", *labels) for labels in _REQUESTS),
            refused=sum(count for labels, count in errors.items() if labels[0].startswith("4")),
            failed=sum(count for labels, count in errors.items() if labels[0].startswith("5")),
            created=self._sum("tusd_uploads_created"),
            finished=self._sum("tusd_uploads_finished"),
        )
        shipped = self._sum("fileloft_flush_sent_bytes_total")
        wrong = totals.refused + totals.failed
        counted = (totals.received, totals.sent, shipped, totals.requests, wrong)
        before, self._counted = self._counted, counted
        if spent_s > _FRESH_S:
            return None, totals
        grown = (max(0.0, now - then) for now, then in zip(counted, before, strict=True))
        return Rates(*(round(growth / spent_s, 1) for growth in grown)), totals

    # -- the way to the object store ------------------------------------------------------------

    def _flushing(self, now: float) -> Flushing:
        *counts, lags = self._storage.board.read("fileloft_flush_lag_seconds")
        self._stored.append((now, sum(counts), lags))
        while self._stored[0][0] < now - _LAG_WINDOW_S:
            self._stored.popleft()
        _, first, first_lags = self._stored[0]
        stored = sum(counts) - first
        lanes = [labels[0] for labels in _SERIES["fileloft_flush_queue"]]
        return Flushing(
            away=self._sum("fileloft_store_away") > 0,
            shipments=self._sum("fileloft_flush_shipments"),
            waiting_bytes=self._sum("fileloft_flush_waiting_bytes"),
            spool_bytes=self._sum("fileloft_spool_bytes"),
            queue={lane: self._sum("fileloft_flush_queue", lane) for lane in lanes},
            lag=round((lags - first_lags) / stored, 3) if stored > 0 else None,
            stored=stored,
        )

    def _health(self) -> list[str] | None:
        """Return why nothing should come here, as it was a moment ago.

        The object store may take its time to answer, for which no snapshot waits.
        """
        if self._asking is not None and self._asking.done():
            asked, self._asking = self._asking, None
            self._reasons = asked.result()
        if self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._readiness.reasons())
        return self._reasons

    # -- uploads --------------------------------------------------------------------------------

    async def _uploads(self, spent_s: float) -> tuple[list[Running], int]:
        """Return the slowest ones, and how many are left out."""
        claims: dict[Body | None, Hold] = {}
        async for queue in unhurried(self._storage.holds()):
            claims.update((hold.body, hold) for hold in queue)
        before, self._before = self._before, {}
        found: list[tuple[float, float, int, RequestBody]] = []
        now = time.monotonic()
        async for body in unhurried(self._site.running):
            if body.head.method not in _BRINGING or body.length == 0 or body.over:
                continue
            if body not in claims and not request_of(body).upload:
                continue
            received, age = received_by(body, claims.get(body)), now - body.started
            since_s = min(spent_s, age) if body in before else age
            rate = (received - before.get(body, 0)) / since_s if since_s > 0 else 0.0
            self._before[body] = received
            found.append((max(0.0, rate), -age, len(found), body))
        chosen = nsmallest(MOST_UPLOADS, found)
        self._lengths = {
            each[3]: self._lengths[each[3]] for each in chosen if each[3] in self._lengths
        }
        shown = [
            await self._running(body, claims.get(body), rate, -age) for rate, age, _, body in chosen
        ]
        return shown, len(found) - len(chosen)

    async def _running(
        self, body: RequestBody, hold: Hold | None, rate: float, age: float
    ) -> Running:
        request = request_of(body)
        upload = request.upload if hold is None else hold.upload
        if body not in self._lengths:
            self._lengths[body] = await self._length(body, upload)
        begun = _number(body.head.headers.get("upload-offset", "")) or 0
        return Running(
            id=upload,
            state=state_of(body, request, hold),
            client=body.head.peer.address,
            offset=begun + received_by(body, hold),
            length=self._lengths[body],
            rate=round(rate),
            age=round(age, 1),
        )

    async def _length(self, body: RequestBody, upload: str) -> int | None:
        """Return how long the upload will be; it is looked up once a request."""
        headers = body.head.headers
        if "upload-length" in headers:
            return _number(headers["upload-length"])
        if "upload-offset" in headers:
            info = await info_of(self._storage, upload)
            return None if info is None else info.length
        return None if "upload-defer-length" in headers or _is_piece(headers) else body.length

    def _sum(self, name: str, *labels: str) -> float:
        return self._storage.board.read(name, *labels)[0]


def _is_piece(headers: Mapping[str, str]) -> bool:
    """Return whether more is to come after the body, by the IETF's protocol."""
    return headers.get("upload-complete") == "?0" or headers.get("upload-incomplete") == "?1"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
