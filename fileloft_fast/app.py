"""The composition root: settings → engine, store, service, site, server; a process's life."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from typing import TYPE_CHECKING, Final

import uvloop

from fileloft_fast.dataplane import ALGORITHMS, Engine, digest_size
from fileloft_fast.errors import ConfigError, ShuttingDownError
from fileloft_fast.http1.site import Patience, Site
from fileloft_fast.listen import Server
from fileloft_fast.model import Capability
from fileloft_fast.observe.log import fields
from fileloft_fast.stores import FsStore
from fileloft_fast.tus.rules import CorsRules, TusRules
from fileloft_fast.uploads import Locks, Service, Sweeper
from fileloft_fast.uploads.expiry import Expiry
from fileloft_fast.uploads.intake import Intake

if TYPE_CHECKING:
    from fileloft_fast.config import Settings

log = logging.getLogger(__name__)

_OWN_EVERY_S: Final = 0.1
_DESCRIPTORS_EACH: Final = 3  # socket, its duplicate for the engine, file
_DESCRIPTORS_KEPT: Final = 64


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status. Blocks.

    Raises ConfigError where the settings cannot be served.
    """
    return uvloop.run(_serve(settings))


def tus_rules(settings: Settings) -> TusRules:
    """Return what the protocol needs of *settings*."""
    return TusRules(
        base_path=settings.base_path,
        capabilities=settings.capabilities(),
        algorithms={name: digest_size(name) for name in ALGORITHMS},
        max_size=settings.max_size_bytes,
        base_url=settings.base_url,
        behind_proxy=settings.behind_proxy,
        expire_finished=settings.expire_finished,
        cors=CorsRules(
            enabled=settings.cors_enabled,
            allow_origins=settings.cors_allow_origins,
            credentials=settings.cors_allow_credentials,
            allow_headers=settings.cors_allow_headers,
            expose_headers=settings.cors_expose_headers,
            max_age_s=settings.cors_max_age_s,
        ),
    )


async def _serve(settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    stop = _watch_signals(loop)
    ttl_s = settings.expiration_ttl_s if settings.enable_expiration else None
    engine = Engine(loop)
    try:
        store = _open_store(engine, settings, ttl_s)
    except ConfigError:
        engine.close()
        raise
    try:
        await _own(store, settings)
        await _serve_store(settings, engine, store, ttl_s, stop)
    finally:
        engine.close()  # before the directory that its last jobs work in
        store.close()
    log.info("stopped")
    return 0


async def _serve_store(
    settings: Settings, engine: Engine, store: FsStore, ttl_s: int | None, stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    rules = tus_rules(settings)
    locks = Locks(settings.lock_timeout_s)
    expiry = Expiry(ttl_s, finished_too=settings.expire_finished)
    intake = Intake(
        store=store,
        algorithms=rules.algorithms,
        idle_ms=int(settings.body_timeout_s * 1000),
        min_rate=settings.min_rate_bytes_per_s,
    )
    service = Service(
        rules,
        store,
        locks,
        intake,
        expiry,
        min_free_bytes=settings.min_free_bytes,
        cleanup_partials=settings.enable_cleanup_concat_partials,
    )
    site = Site(
        loop=loop,
        answerer=service,
        engine=engine,
        patience=Patience(
            head_s=settings.head_timeout_s,
            idle_s=settings.idle_timeout_s,
            body_s=settings.body_timeout_s,
            min_rate_bytes_per_s=settings.min_rate_bytes_per_s,
        ),
        max_connections=_connections(settings),
    )
    server = Server(site)
    await server.listen(settings.bind, settings.unix_socket)
    sweeper = None
    if Capability.EXPIRATION in rules.capabilities:
        sweeping = Sweeper(store, locks, expiry, interval_s=settings.sweep_interval_s)
        sweeper = loop.create_task(sweeping.run())
    await stop.wait()
    log.info("stopping", extra=fields(connections=len(site.connections)))
    locks.drain(ShuttingDownError("the server is stopping"))
    await server.drain(settings.shutdown_timeout_s)
    if sweeper is not None:
        sweeper.cancel()
        await asyncio.wait([sweeper])


def _open_store(engine: Engine, settings: Settings, ttl_s: int | None) -> FsStore:
    try:
        return FsStore(
            engine,
            settings.data_dir,
            sync=settings.sync,
            file_mode=settings.file_mode,
            ttl_s=ttl_s,
        )
    except OSError as error:
        raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error


async def _own(store: FsStore, settings: Settings) -> None:
    """Wait for a process that is stopping to give the data directory up (rolling restarts)."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.shutdown_timeout_s + 1
    try:
        while not store.try_own():
            if loop.time() > deadline:
                raise ConfigError("FILELOFT_DATA_DIR: another server works in this directory")
            await asyncio.sleep(_OWN_EVERY_S)
    except OSError as error:
        log.warning("data directory without locks", extra=fields(error=error))


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
    allowed = max(1, (hard - _DESCRIPTORS_KEPT) // _DESCRIPTORS_EACH)
    if allowed < settings.max_connections:
        log.warning("fewer connections: descriptors", extra=fields(allowed=allowed, limit=hard))
    return min(allowed, settings.max_connections)
