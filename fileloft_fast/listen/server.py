"""Listens, looks after late connections, and drains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from fileloft_fast.http1.connection import Connection
from fileloft_fast.listen.sockets import BACKLOG, place_of
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.http1.site import Site

log = logging.getLogger(__name__)

_CHECK_EVERY_S: Final = 0.5
_LAST_ANSWERS_S: Final = 1.0
_LAST_WORK_S: Final = 5.0


class Server:
    """The listening sockets of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._servers: list[asyncio.AbstractServer] = []
        self._checker: asyncio.Task[None] | None = None

    async def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Serve what connects to the listening *sockets*, which stay the caller's.

        A drain leaves them open: they may be shared, and what connects then waits for others. Who
        wants it refused closes them before the drain.
        """
        loop = self._site.loop
        for each in sockets:
            # uvloop closes what it is given.
            unix = each.family == socket.AF_UNIX
            create = loop.create_unix_server if unix else loop.create_server
            self._servers.append(await create(self._connection, sock=each.dup(), backlog=BACKLOG))
            log.info("listening", extra=fields(**place_of(each)))
        self._checker = loop.create_task(self._check())

    async def finish(self, timeout_s: float, at_once: asyncio.Event) -> None:
        """Accept nothing more, and let requests end by themselves, for another process takes over.

        Returns when none is left, after *timeout_s*, or when *at_once* is set; a drain ends the
        rest. A connection that is kept open is not closed in the face of its next request.
        """
        for server in self._servers:
            server.close()
        self._site.finish()
        waits = [asyncio.ensure_future(each.wait()) for each in (self._site.emptied, at_once)]
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def drain(
        self, timeout_s: float, on_late: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Accept nothing more, let requests end, and close what is left after *timeout_s*.

        *on_late* makes those end that wait for others than their client, so that they can answer.
        """
        for server in self._servers:
            server.close()
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
            await asyncio.wait(tuple(self._site.tasks), timeout=_LAST_WORK_S)
        if self._checker is not None:
            self._checker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._checker

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
