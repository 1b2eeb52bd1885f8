"""A process's life: from the settings to the exit status, signals and descriptors in between."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from typing import TYPE_CHECKING, Final

import uvloop

from fileloft_fast.app.adoption import adopt_uploads
from fileloft_fast.app.site import site_of
from fileloft_fast.app.storage import opened_storage
from fileloft_fast.errors import ShuttingDownError
from fileloft_fast.listen import Server, close_sockets, open_sockets
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.config import Settings

log = logging.getLogger(__name__)

_DESCRIPTORS_EACH: Final = 3  # socket, its duplicate for the engine, file
_DESCRIPTORS_KEPT: Final = 64
_DESCRIPTORS_A_PART: Final = 16  # a part that leaves, the small requests beside it, their files


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status. Blocks.

    Raises ConfigError where the settings cannot be served.
    """
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stop = _watch_signals(asyncio.get_running_loop())
    async with opened_storage(settings) as storage:
        await adopt_uploads(settings)
        await _serve_until(stop, settings, storage)
    log.info("stopped")
    return 0


async def _serve_until(stop: asyncio.Event, settings: Settings, storage: Storage) -> None:
    """Serve; return when requests and sweeps are over, so that the storage can be closed."""
    site = site_of(settings, storage, max_connections=_connections(settings))
    server = Server(site)
    sockets = open_sockets(settings)
    await server.listen(sockets)
    sweeping = asyncio.get_running_loop().create_task(storage.sweeper.run())
    await stop.wait()
    log.info("stopping", extra=fields(connections=len(site.connections)))
    storage.locks.drain(ShuttingDownError("the server is stopping"))
    close_sockets(sockets)
    await server.drain(settings.shutdown_timeout_s, storage.halt)
    sweeping.cancel()
    await asyncio.wait([sweeping])


def _watch_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second one ends the process."""
    stop = asyncio.Event()

    def on_signal(number: int) -> None:
        if stop.is_set():
            log.warning("stopping at once")
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


def _connections(settings: Settings) -> int:
    """Take all the descriptors there are to have; return how many connections they allow."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    parts = settings.flush_concurrency if settings.remote else 0
    kept = _DESCRIPTORS_KEPT + parts * _DESCRIPTORS_A_PART
    allowed = max(1, (hard - kept) // _DESCRIPTORS_EACH)
    if allowed < settings.max_connections:
        log.warning("fewer connections: descriptors", extra=fields(allowed=allowed, limit=hard))
    return min(allowed, settings.max_connections)
