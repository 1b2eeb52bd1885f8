"""A process's life: from the settings to the exit status, signals and descriptors in between."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import uvloop

from fileloft_fast.app.adoption import adopt_uploads
from fileloft_fast.app.ending import MainEnding, WorkerEnding
from fileloft_fast.app.observing import observed
from fileloft_fast.app.orphans import orphans_reaped
from fileloft_fast.app.shards import take_shards
from fileloft_fast.app.site import site_of, tus_rules
from fileloft_fast.app.storage import opened_storage
from fileloft_fast.app.workers import Launch, Supervisor
from fileloft_fast.app.workers.boards import SharedBoards
from fileloft_fast.app.workers.slots import open_slots
from fileloft_fast.app.workers.supervisor import MARGIN_S
from fileloft_fast.errors import ShuttingDownError, UploadNotFoundError
from fileloft_fast.http1.handover import Handover, Inbox, open_inboxes
from fileloft_fast.listen import Notifier, Server, close_sockets, open_desk_sockets
from fileloft_fast.model import shard_of
from fileloft_fast.observe.log import fields
from fileloft_fast.tus.location import parse_target

if TYPE_CHECKING:
    import socket

    from fileloft_fast.app.ending import Ending
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.config import Settings
    from fileloft_fast.tus.rules import TusRules

log = logging.getLogger(__name__)

_DESCRIPTORS_EACH: Final = 3  # socket, its duplicate for the engine, file
_DESCRIPTORS_KEPT: Final = 64
_LAST_WORK_S: Final = 10.0  # what a process that ends by itself may do after its drain
_DESCRIPTORS_A_PART: Final = 16  # a part that leaves, the small requests beside it, their files


@dataclass(frozen=True, slots=True)
class Doors:
    """Where requests come from to one process: for uploads, for operators, from other workers."""

    uploads: Sequence[socket.socket]
    desk: Sequence[socket.socket] = ()
    inboxes: Sequence[Inbox] | None = None


@dataclass(frozen=True, slots=True)
class Shards:
    """What workers share that have a spool each: the data directory, and their inboxes."""

    directory: int
    inboxes: Sequence[Inbox]

    def close(self) -> None:
        """Give all of it back."""
        os.close(self.directory)
        for inbox in self.inboxes:
            close_sockets(inbox)


def serve(settings: Settings, launch: Launch | None = None) -> int:
    """Serve until told to stop, and return the exit status. Blocks.

    *launch* is how the process was started. Raises ConfigError where the settings cannot be served.
    """
    launch = launch or Launch()
    if settings.workers == 1:
        return uvloop.run(_serve_alone(settings, launch))
    slots, desk = open_slots(settings, launch), open_desk_sockets(settings)
    boards = SharedBoards(settings.workers)
    shards: Shards | None = None
    if settings.sharded:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until there is something to dump
        # Ours until the last of the processes that are forked here has ended.
        directory = take_shards(settings, _patience_s(settings, launch), launch.announce)
        shards = Shards(directory, open_inboxes(settings.workers))
    inboxes = None if shards is None else shards.inboxes

    def work(slot: int, channel: socket.socket) -> int:
        share = _share(settings)
        opening = partial(
            opened_storage,
            share,
            slot=slot,
            patience_s=_patience_s(settings, launch),
            board=boards.of(slot),
        )
        doors = Doors(slots[slot], desk, inboxes)
        return uvloop.run(_serve_worker(share, slot, opening, doors, channel))

    with closing(Notifier(settings)) as notifier:
        supervisor = Supervisor(
            slots,
            work,
            launch,
            notifier,
            drain_s=settings.shutdown_timeout_s,
            hang_s=settings.worker_timeout_s,
            on_death=boards.lost,
        )
        try:
            status = supervisor.run()
        finally:
            close_sockets(desk)
            if shards is not None:
                shards.close()
    log.info("stopped")
    return status


async def _serve_alone(settings: Settings, launch: Launch) -> int:
    """Be the only process, or the successor of one."""
    for number in (signal.SIGUSR1, signal.SIGHUP):  # until there is something to dump, to renew
        signal.signal(number, signal.SIG_IGN)
    with closing(Notifier(settings)) as notifier:
        ending = MainEnding(launch, notifier)
        opening = opened_storage(
            settings, patience_s=_patience_s(settings, launch), on_wait=launch.announce
        )
        async with opening as storage, orphans_reaped():
            await adopt_uploads(settings)
            (sockets,) = open_slots(settings, launch)
            doors = Doors(sockets, open_desk_sockets(settings))
            await _serve_until(ending, settings, storage, doors, lambda: ending.serving(sockets))
    log.info("stopped")
    return 0


async def _serve_worker(
    settings: Settings,
    slot: int,
    opening: Callable[..., AbstractAsyncContextManager[Storage]],
    doors: Doors,
    channel: socket.socket,
) -> int:
    """Be one of several workers."""
    ending = WorkerEnding(channel)
    async with opening(on_wait=ending.waiting) as storage:
        await adopt_uploads(settings)
        await _serve_until(ending, settings, storage, doors, ending.serving, slot)
    return 0


async def _serve_until(  # noqa: PLR0913, PLR0917 - the composition root
    ending: Ending,
    settings: Settings,
    storage: Storage,
    doors: Doors,
    on_serving: Callable[[], None],
    slot: int = 0,
) -> None:
    """Serve; return when requests and sweeps are over, so that the storage can be closed."""
    site, front = site_of(settings, storage, max_connections=_connections(settings))
    server = Server(site, settings)
    ending.on_reload(server.renew)
    await server.listen(doors.uploads)
    if doors.inboxes is not None:
        to = partial(_worker_of, tus_rules(settings), settings.workers)
        site.handover = Handover(slot, doors.inboxes, to, storage.board)
        site.handover.receive(site)
    async with observed(settings, storage, site, front, doors.desk):
        sweeping = [asyncio.get_running_loop().create_task(storage.sweeper.run())]
        if storage.named is not None:
            sweeping.append(asyncio.get_running_loop().create_task(storage.named.clean()))
        on_serving()
        await ending.asked.wait()
        log.info("stopping", extra=fields(connections=len(site.connections)))
        for task in sweeping:
            task.cancel()  # another process takes it up
        close_sockets(doors.uploads)
        if ending.gently:
            await server.finish(settings.shutdown_timeout_s, ending.at_once)
        stopping = ShuttingDownError("the server is stopping")
        storage.locks.drain(stopping)
        if storage.named is not None:
            storage.named.drain(stopping)
        await server.drain(settings.shutdown_timeout_s, storage.halt)
        if site.handover is not None:
            site.handover.stop(site)
        await asyncio.wait(sweeping)
    close_sockets(doors.desk)


def _patience_s(settings: Settings, launch: Launch) -> float:
    """Return how long to wait for a process that is about to give the data directory up."""
    # What runs may run on for a while in a process that was told to go, and is ended then.
    patience_s = 2 * settings.shutdown_timeout_s + 1
    # Who follows another has told it to go: nobody would serve if it gave up before a worker that
    # hangs is killed there.
    return patience_s + MARGIN_S + _LAST_WORK_S if launch.slots else patience_s


def _worker_of(rules: TusRules, workers: int, path: str) -> int | None:
    """Return which worker has the upload that *path* names; None where it names none."""
    try:
        upload = parse_target(path, rules)
    except UploadNotFoundError:
        return None
    return None if upload is None else shard_of(upload, workers)


def _share(settings: Settings) -> Settings:
    """Return what each of several workers may take of what there is for all of them."""
    return replace(
        settings,
        spool_max_bytes=-(-settings.spool_max_bytes // settings.workers),
        flush_rate_bytes_per_s=-(-settings.flush_rate_bytes_per_s // settings.workers),
        flush_concurrency=-(-settings.flush_concurrency // settings.workers),
    )


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
