"""Where uploads are kept: the directory, the object store, and the locks that replicas share."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.access import Access, load_access
from fileloft_fast.app.fitness import check_fitness
from fileloft_fast.app.shards import OWNER_NAME, folders, owner_of, reshard, shard_path
from fileloft_fast.app.sharing import open_host_locks, own
from fileloft_fast.config import AckMode, LockMode, SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import ConfigError, StoreError
from fileloft_fast.flush import FlushPlan, Spool, SpooledStore, open_store
from fileloft_fast.flush.rate import Rate
from fileloft_fast.model import shard_of
from fileloft_fast.observe.board import Board
from fileloft_fast.observe.log import fields
from fileloft_fast.stores import AnyStore, FsStore, PublishingStore
from fileloft_fast.stores.remote.load import load_objects
from fileloft_fast.uploads import Locks, Sweeper
from fileloft_fast.uploads.expiry import Expiry
from fileloft_fast.uploads.leases import Leases, ObjectLeases, load_redis

if TYPE_CHECKING:
    from collections import deque

    from fileloft_fast.app.storages import NamedStorages
    from fileloft_fast.config import Settings
    from fileloft_fast.flush.flusher import Flusher
    from fileloft_fast.hooks.hooks import Hooks
    from fileloft_fast.model import UploadId, UploadInfo
    from fileloft_fast.stores.remote import Objects
    from fileloft_fast.uploads.locks import Hold

log = logging.getLogger(__name__)

_CHUNKS: Final = "chunk"
"""Chunk mode's own part of the data directory: a cache, which is thrown away at each start."""


class Storage(Struct, frozen=True):
    """What is open, and what works on it with requests and without."""

    engine: Engine
    store: AnyStore
    locks: Locks
    expiry: Expiry
    sweeper: Sweeper
    halt: Callable[[], Awaitable[None]] | None
    """Ends every wait for an object store; nothing is stored there any more."""
    board: Board
    access: Access | None = None
    hooks: Hooks | None = None
    objects: Objects | None = None
    flusher: Flusher | None = None
    """Of an object store; None on a local disk."""
    mine: Callable[[UploadId], bool] = lambda _: True
    """Tells which uploads are here, where other workers have others."""
    named: NamedStorages | None = None
    """Objects at paths, where there are any."""

    def holds(self) -> Iterator[deque[Hold]]:
        """Yield who works on each upload, then who waits for it; those of named storages too."""
        yield from tuple(self.locks.queues.values())
        for reception in () if self.named is None else self.named.receptions:
            yield from tuple(reception.locks.queues.values())


@asynccontextmanager
async def opened_storage(
    settings: Settings,
    *,
    slot: int = 0,
    patience_s: float = 0.0,
    on_wait: Callable[[], object] = lambda: None,
    board: Board | None = None,
) -> AsyncIterator[Storage]:
    """Open everything that *settings* name, recovered and at work; close it in order.

    *slot* is the worker's, of several. A process that is stopping is waited for, after *on_wait*,
    to give the data directory up. An object store or a Redis that does not answer is no error. What
    is measured goes to *board*. Raises ConfigError.
    """

    def wait() -> None:
        check_fitness(settings)  # who goes on our word must not find that we cannot serve
        on_wait()

    board = Board() if board is None else board
    async with AsyncExitStack() as ending:
        engine = Engine(asyncio.get_running_loop())
        directory = _open_directory(engine, settings, slot, board)
        ending.callback(directory.close)
        # Closed after the engine: whoever has an upload next must not meet its last jobs there.
        giving_up = ending.enter_context(ExitStack())
        folders = ending.enter_context(ExitStack())
        ending.callback(engine.close)  # before the directories that its last jobs work in
        shared = open_host_locks(settings, board)
        if shared is not None:
            giving_up.callback(shared.close)
        await own(directory, patience_s, alone=shared is None, on_wait=wait)
        await asyncio.get_running_loop().run_in_executor(None, _prepare, settings)
        store: AnyStore = directory
        halt: Callable[[], Awaitable[None]] | None = None
        objects = None
        hooks = _load_hooks(engine, directory, settings)
        if hooks is not None:
            ending.push_async_callback(hooks.close)  # after the store, which tells it things
        if isinstance(directory, Spool):
            rate = Rate(settings.flush_rate_bytes_per_s)
            objects = load_objects(settings, rate)
            await objects.start()
            ending.push_async_callback(objects.close)
            spooled = await _open_spooled(
                directory, objects, settings, slot, rate, None if hooks is None else hooks.stored
            )
            ending.push_async_callback(spooled.close)
            store, halt = spooled, spooled.close
        leases = await _open_leases(objects, settings)
        if leases is not None:
            ending.push_async_callback(leases.close)
        locks = shared or Locks(settings.lock_timeout_s, leases, board)
        expiry = Expiry(_ttl_s(settings), finished_too=settings.expire_finished)
        access = await _open_access(settings, ending)
        sweeper = Sweeper(
            store,
            locks,
            expiry,
            expired_s=settings.sweep_interval_s if settings.enable_expiration else None,
            leftovers_s=settings.remote_sweep_interval_s,
            access=access,
            audits=not settings.sharded,
            turn=None if shared is None else shared.sweeping,
            board=board,
        )
        flusher = directory.flusher if isinstance(directory, Spool) else None
        if hooks is not None:
            halt = _halting(hooks, halt)
            await hooks.start(store)
        work = (engine, store, locks, expiry, sweeper, halt, board, access, hooks, objects, flusher)
        named = await _open_named(settings, engine, board, folders, ending, patience_s, wait)
        yield Storage(*work, _mine_of(settings, slot), named)


async def _open_named(  # noqa: PLR0913, PLR0917 - the composition root
    settings: Settings,
    engine: Engine,
    board: Board,
    folders: ExitStack,
    ending: AsyncExitStack,
    patience_s: float,
    on_wait: Callable[[], None],
) -> NamedStorages | None:
    """Open named storages; None, and nothing of them loaded, where none is declared."""
    if not settings.storages and settings.storages_file is None:
        return None
    doors = import_module("fileloft_fast.app.storages").StorageDoors
    named: NamedStorages = await doors(settings, engine, board, folders).open(
        ending, patience_s, on_wait
    )
    return named


def _load_hooks(engine: Engine, directory: FsStore, settings: Settings) -> Hooks | None:
    """Return who is asked and told; None, and nothing of it loaded, where there is nobody."""
    if not settings.hooks_wanted:
        return None
    publisher = directory if not settings.remote else None
    load = import_module("fileloft_fast.hooks.load").load_hooks
    hooks: Hooks = load(settings, engine, publisher, directory.board)
    return hooks


def _halting(
    hooks: Hooks, halt: Callable[[], Awaitable[None]] | None
) -> Callable[[], Awaitable[None]]:
    """Return what ends every wait for others: hooks, and an object store where there is one."""

    async def halt_all() -> None:
        hooks.halt()
        if halt is not None:
            await halt()

    return halt_all


async def _open_access(settings: Settings, ending: AsyncExitStack) -> Access | None:
    """Open what admits requests; None where everybody is let in."""
    if not settings.auth:
        return None
    access = load_access(settings)
    ending.push_async_callback(access.close)
    await access.start()
    return access


def _open_directory(engine: Engine, settings: Settings, slot: int, board: Board) -> FsStore:
    """Open the data directory, as a spool where an object store is behind it."""
    path, sync = settings.data_dir, settings.sync
    if settings.remote and settings.ack is not AckMode.SPOOL and sync is SyncMode.COMPLETE:
        sync = SyncMode.NONE  # what is acknowledged is in the object store
    if settings.sharded:
        path = str(shard_path(settings, slot))
    elif settings.ack is AckMode.CHUNK:
        path = str(Path(path, _CHUNKS, f"worker-{slot}" if settings.workers > 1 else ""))
    kind = Spool if settings.remote else PublishingStore if settings.hooks_wanted else FsStore
    try:
        return kind(
            engine,
            path,
            sync=sync,
            file_mode=settings.file_mode,
            ttl_s=_ttl_s(settings),
            orphan_age_s=settings.orphan_age_s,
            board=board,
        )
    except OSError as error:
        engine.close()
        raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error


def _prepare(settings: Settings) -> None:
    """Have every upload in the spool of one process, where it is the only one. Blocks.

    Raises ConfigError where uploads wait to be shipped that these settings would not ship. Read as
    plain files, those that were begun to be shipped have holes.
    """
    directory = Path(settings.data_dir)
    if settings.sharded:
        return
    if settings.remote and settings.ack is not AckMode.CHUNK:
        try:
            reshard(directory, 1)
        except OSError as error:
            raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error
        return
    if (directory / OWNER_NAME).exists() and _is_shipping(directory):
        raise ConfigError(
            f"FILELOFT_DATA_DIR: {directory} has uploads on their way to an object store: start in"
            " another directory, or with that store and FILELOFT_ACK=finish until they are there"
        )
    if settings.remote and (left := sum(1 for _ in _names(directory, ".info"))):
        log.warning(
            "uploads of another mode lie here: FILELOFT_ACK=chunk neither serves nor ships them",
            extra=fields(directory=directory, uploads=left),
        )


def _is_shipping(directory: Path) -> bool:
    left = (*folders(directory), directory)
    return any(any(_names(each, ".journal")) for each in left) or any(
        any(_names(each, ".info")) for each in left[:-1]
    )


def _names(directory: Path, suffix: str) -> Iterator[str]:
    """Yield what ends with *suffix*; unlike ``glob``, without a list of all there is."""
    with os.scandir(directory) as entries:
        yield from (entry.name for entry in entries if entry.name.endswith(suffix))


async def _open_spooled(  # noqa: PLR0913, PLR0917 - the composition root
    spool: Spool,
    objects: Objects,
    settings: Settings,
    slot: int,
    rate: Rate,
    stored: Callable[[UploadInfo], Awaitable[None]] | None,
) -> SpooledStore:
    plan = FlushPlan(
        ack=settings.ack,
        prefix=settings.prefix,
        part_bytes=settings.part_size_bytes,
        max_size=settings.max_size_bytes,
        spool_max_bytes=settings.spool_max_bytes,
        min_free_bytes=settings.min_free_bytes,
        parts_at_once=settings.flush_concurrency,
        patience_s=settings.flush_timeout_s,
        zstd_level=settings.flush_zstd_level,
        redirect_ttl_s=settings.redirect_ttl_s if settings.download_redirect else 0,
        ttl_s=_ttl_s(settings),
        expire_finished=settings.expire_finished,
        orphan_age_s=settings.orphan_age_s,
        listing_s=settings.remote_sweep_interval_s,
        stray_leases=settings.lock is LockMode.STORE,
        taken=lambda: rate.taken,
        bucket=f"{settings.backend}:{_bucket(settings)}",
        stored=stored,
        owner=owner_of(settings) if settings.sharded else "",
        mine=_mine_of(settings, slot),
    )
    try:
        return await open_store(spool, objects, plan)
    except (OSError, StoreError) as error:
        raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error


async def _open_leases(objects: Objects | None, settings: Settings) -> Leases | None:
    leases: Leases
    match settings.lock:
        case LockMode.LOCAL:
            if objects is not None:
                log.warning("FILELOFT_LOCK=local: one server only may work on the bucket")
            return None
        case LockMode.REDIS:
            leases = load_redis(settings.redis_url, settings.lock_ttl_s)
        case LockMode.STORE:
            assert objects is not None, "refused with the settings"
            leases = ObjectLeases(objects, settings.prefix, settings.lock_ttl_s)
    await leases.start()
    return leases


def _mine_of(settings: Settings, slot: int) -> Callable[[UploadId], bool]:
    """Return what tells the uploads of the worker in *slot* from others'."""
    if not settings.sharded:
        return lambda _: True
    return lambda upload: shard_of(upload, settings.workers) == slot


def _bucket(settings: Settings) -> str | None:
    buckets = (settings.s3_bucket, settings.gcs_bucket, settings.azure_container)
    return dict(zip(("s3", "gcs", "azure"), buckets, strict=True)).get(settings.backend)


def _ttl_s(settings: Settings) -> int | None:
    return settings.expiration_ttl_s if settings.enable_expiration else None
