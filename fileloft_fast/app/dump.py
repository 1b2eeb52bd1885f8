"""What every running request is doing, into the log (SIGUSR1)."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from fileloft_fast.app.running import info_of, received_by, state_of
from fileloft_fast.observe.log import fields
from fileloft_fast.observe.request import request_of

if TYPE_CHECKING:
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.http1.body import RequestBody
    from fileloft_fast.http1.site import Site
    from fileloft_fast.model import Body
    from fileloft_fast.uploads.locks import Hold

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)  # whoever asks for it gets it, also where the log is set to errors


class Dump:
    """Looks at one serving process; what it looks at goes on meanwhile."""

    def __init__(self, storage: Storage, site: Site) -> None:
        self._storage = storage
        self._site = site
        self._writing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write, unless a dump is being written."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self.write())

    async def write(self) -> None:
        """Write a line for the process, and one for each request that runs."""
        storage, flusher = self._storage, self._storage.flusher
        log.info(
            "dump",
            extra=fields(
                requests=len(self._site.running),
                connections=len(self._site.connections),
                tasks=len(asyncio.all_tasks()),
                held=sum(1 for _ in storage.holds()),
                draining=self._site.draining,
            ),
        )
        if flusher is not None:
            said = fields(
                shipments=len(flusher.shipments),
                waiting_bytes=flusher.room.backlog,
                away=flusher.away,
                **flusher.queues(),
            )
            log.info("dump of the flusher", extra=said)
        claims = {hold.body: (hold, queue[0]) for queue in storage.holds() for hold in queue}
        for body in tuple(self._site.running):
            await self._write_request(body, *claims.get(body, (None, None)))

    async def _write_request(
        self, body: RequestBody, hold: Hold | None, holder: Hold | None
    ) -> None:
        request = request_of(body)
        upload = request.upload if hold is None else hold.upload
        info = await info_of(self._storage, upload) if upload else None
        log.info(
            "running",
            extra=fields(
                id=upload or "-",
                request=request.id,
                holder=self._name_of(None if holder is None else holder.body),
                client=request.head.peer.address or "-",
                method=request.head.method,
                state=state_of(body, request, hold),
                offset="?" if info is None else info.offset,
                length="?" if info is None or info.length is None else info.length,
                received=received_by(body, hold),
                of="?" if body.length is None else body.length,
                rate=round(request.rate),
                age=round(time.monotonic() - body.started, 3),
            ),
        )

    def _name_of(self, body: Body | None) -> str:
        """Return the id of the request whose *body* is served here."""
        known = (each for each in self._site.running if each is body)
        return next((request_of(each).id for each in known), "-")
