"""A serving process as its operators see it: gauges, endpoints, dumps."""

from __future__ import annotations

import asyncio
import contextlib
import platform
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from fileloft_fast.app.dump import Dump
from fileloft_fast.app.gauges import Gauges
from fileloft_fast.app.readiness import Readiness
from fileloft_fast.app.site import tus_rules
from fileloft_fast.http1.front import Desk
from fileloft_fast.http1.site import Patience, Site
from fileloft_fast.listen import Server
from fileloft_fast.observe.operations import (
    HEALTH_PATH,
    METRICS_PATH,
    READY_PATH,
    Operation,
    health_operation,
    metrics_operation,
    ready_operation,
)
from fileloft_fast.tus.responses import Answers

if TYPE_CHECKING:
    import socket

    from fileloft_fast.app.storage import Storage
    from fileloft_fast.config import Settings
    from fileloft_fast.http1.front import Front

_DESK_CONNECTIONS: Final = 64
_DESK_DRAIN_S: Final = 1.0
_DESK_PATIENCE: Final = Patience(head_s=5.0, idle_s=60.0, body_s=5.0)


@contextlib.asynccontextmanager
async def observed(
    settings: Settings,
    storage: Storage,
    site: Site,
    front: Front,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[None]:
    """Tell operators of *site* as long as the block lasts, a drain included.

    On listening *sockets* of their own, where FILELOFT_METRICS_BIND asks for that.
    """
    loop = asyncio.get_running_loop()
    gauges = Gauges(storage, site)
    readiness = Readiness(settings, storage, site)
    health: Mapping[str, Operation] = {
        HEALTH_PATH: health_operation(),
        READY_PATH: ready_operation(readiness.reasons),
    }
    build = {
        "version": version("fileloft-fast"),
        "python": platform.python_version(),
        "backend": settings.backend,
    }
    metrics = {METRICS_PATH: metrics_operation(storage.board, build, gauges.refresh)}
    front.operations.update(health)
    if settings.enable_metrics:
        front.operations.update(metrics)
    if settings.status_keys:
        module = import_module("fileloft_fast.app.status")
        status = module.Status(build, storage, site, gauges, readiness)
        pages = module.operations(status, settings.status_keys, storage.access, front.failed)
        front.operations.update(pages)
        health = {**health, **pages}
    dump = Dump(storage, site)
    loop.add_signal_handler(signal.SIGUSR1, dump.start)
    looking = loop.create_task(gauges.run())
    async with contextlib.AsyncExitStack() as ending:
        if sockets:
            desk = Desk({**health, **metrics}, Answers(tus_rules(settings)).failed)
            server = Server(
                Site(
                    loop=loop,
                    answerer=desk,
                    engine=storage.engine,
                    patience=_DESK_PATIENCE,
                    max_connections=_DESK_CONNECTIONS,
                )
            )
            await server.listen(sockets, "listening for operators")
            ending.push_async_callback(server.drain, _DESK_DRAIN_S)
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait([looking])
            front.flush()
