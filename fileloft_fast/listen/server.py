"""Listens, looks after late connections, and drains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import ConfigError
from fileloft_fast.http1.connection import Connection
from fileloft_fast.listen.doorway import Doorway
from fileloft_fast.listen.sockets import BACKLOG, place_of
from fileloft_fast.listen.tls import tls_context
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.config import Settings
    from fileloft_fast.http1.site import Site

log = logging.getLogger(__name__)

_CHECK_EVERY_S: Final = 0.5
_LAST_ANSWERS_S: Final = 1.0
_LAST_WORK_S: Final = 5.0


class Server:
    """The listening sockets of one site; without *settings* they speak plain HTTP.

    Raises ConfigError where TLS is asked for and cannot be had.
    """

    def __init__(self, site: Site, settings: Settings | None = None) -> None:
        self._site = site
        self._settings = settings
        self._doorway: Doorway | None = None
        if settings is not None and (settings.tls_cert is not None or settings.proxy_protocol):
            tls = tls_context(settings)
            self._doorway = Doorway(site, tls, proxy_protocol=settings.proxy_protocol)
        self._servers: list[asyncio.AbstractServer] = []
        self._checker: asyncio.Task[None] | None = None

    async def listen(self, sockets: Sequence[socket.socket], said: str = "listening") -> None:
        """Serve what connects to the listening *sockets*, which stay the caller's; log *said*.

        A drain leaves them open: they may be shared, and what connects then waits for others. Who
        wants it refused closes them before the drain.
        """
        loop = self._site.loop
        for each in sockets:
            if self._doorway is not None:
                self._open_doorway(self._doorway, each)
                continue
            # uvloop closes what it is given.
            unix = each.family == socket.AF_UNIX
            create = loop.create_unix_server if unix else loop.create_server
            self._servers.append(await create(self._connection, sock=each.dup(), backlog=BACKLOG))
            log.info(said, extra=fields(**place_of(each)))
        self._checker = loop.create_task(self._check())

    async def finish(self, timeout_s: float, at_once: asyncio.Event) -> None:
        """Accept nothing more, and let requests end by themselves, for another process takes over.

        Returns when none is left, after *timeout_s*, or when *at_once* is set; a drain ends the
        rest. A connection that is kept open is not closed in the face of its next request.
        """
        self._stop_accepting()
        await asyncio.sleep(0)  # uvloop tells of what it has accepted a turn later
        self._site.finish()
        waits = [asyncio.ensure_future(each.wait()) for each in (self._site.emptied, at_once)]
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def renew(self) -> None:
        """Read the certificate again, for the handshakes to come; a broken one changes nothing."""
        if self._doorway is None or self._doorway.tls is None or self._settings is None:
            return
        try:
            self._doorway.tls = tls_context(self._settings)
        except ConfigError as broken:
            log.error("certificate not renewed", extra=fields(error=broken))  # noqa: TRY400 - one line
        else:
            log.info("certificate renewed")

    async def drain(
        self, timeout_s: float, on_late: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Accept nothing more, let requests end, and close what is left after *timeout_s*.

        *on_late* makes those end that wait for others than their client, so that they can answer.
        """
        self._stop_accepting()
        if self._doorway is not None:
            self._doorway.turn_away()
        self._site.drain()
        emptied = await self._is_emptied(timeout_s)
        if not emptied and on_late is not None:
            await on_late()
            emptied = await self._is_emptied(_LAST_ANSWERS_S)
        if not emptied:
            left = len(self._site.connections)
            log.warning("drain timed out", extra=fields(connections=left))
        for connection in tuple(self._site.connections):
            connection.abort()
        if self._site.tasks:
            # Not cancelled: each one still has to close what it has lent to the engine.
            await asyncio.wait(self._site.tasks, timeout=_LAST_WORK_S)
        if self._checker is not None:
            self._checker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._checker

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        if self._doorway is not None:
            self._doorway.close()

    def _open_doorway(self, doorway: Doorway, listening: socket.socket) -> None:
        if doorway.tls is not None and listening.family == socket.AF_UNIX:
            raise ConfigError("FILELOFT_TLS_CERT: not on a Unix socket that was handed in")
        doorway.open(listening.dup())
        log.info("listening", extra=fields(**place_of(listening)))

    async def _is_emptied(self, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._site.emptied.wait()
        return self._site.emptied.is_set()

    def _connection(self) -> Connection:
        return Connection(self._site)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            try:
                self._site.check()
            except Exception:  # a bug of ours on one connection must not end all timeouts
                log.exception("check failed")
