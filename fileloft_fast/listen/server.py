"""Listens, looks after late connections, and drains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import ConfigError
from fileloft_fast.http1.connection import Connection
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.config import BindAddress
    from fileloft_fast.http1.site import Site

log = logging.getLogger(__name__)

_BACKLOG: Final = 4096
_CHECK_EVERY_S: Final = 0.5
_LAST_ANSWERS_S: Final = 1.0
_LAST_WORK_S: Final = 5.0


class Server:
    """The listening sockets of one site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._servers: list[asyncio.AbstractServer] = []
        self._checker: asyncio.Task[None] | None = None

    async def listen(self, addresses: Sequence[BindAddress], unix_socket: str | None) -> None:
        """Listen on *unix_socket*, or else on every one of *addresses*.

        Raises ConfigError where that cannot be.
        """
        loop = self._site.loop
        if unix_socket is not None:
            _remove_stale(Path(unix_socket))
            try:
                server = await loop.create_unix_server(
                    self._connection, unix_socket, backlog=_BACKLOG
                )
            except OSError as error:
                raise ConfigError(f"FILELOFT_UNIX_SOCKET: {error}") from error
            self._servers.append(server)
            log.info("listening", extra=fields(socket=unix_socket))
        else:
            for address in addresses:
                self._servers.append(await self._listen_tcp(address))
        self._checker = loop.create_task(self._check())

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

    async def _listen_tcp(self, address: BindAddress) -> asyncio.AbstractServer:
        try:
            server = await self._site.loop.create_server(
                self._connection, address.host, address.port, backlog=_BACKLOG
            )
        except OSError as error:
            raise ConfigError(f"FILELOFT_BIND: {error}") from error
        for each in server.sockets:
            host, port = each.getsockname()[:2]
            shown = f"[{host}]" if each.family == socket.AF_INET6 else host
            log.info("listening", extra=fields(address=f"{shown}:{port}"))
        return server

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(_CHECK_EVERY_S)
            try:
                self._site.check()
            except Exception:  # a bug of ours on one connection must not end all timeouts
                log.exception("check failed")


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises ConfigError for anything else in the way."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ConfigError(f"FILELOFT_UNIX_SOCKET: {path} exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ConfigError(f"FILELOFT_UNIX_SOCKET: somebody listens on {path}")
