"""How a data directory is shared: upload by upload among the processes of a host, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import LockMode
from fileloft_fast.errors import ConfigError
from fileloft_fast.observe.log import fields
from fileloft_fast.uploads.host import HostLocks, LockFiles, NoHostLocksError, Post
from fileloft_fast.uploads.host.mounts import network_file_system

if TYPE_CHECKING:
    from fileloft_fast.config import Settings
    from fileloft_fast.observe.board import Board
    from fileloft_fast.stores import FsStore

log = logging.getLogger(__name__)

_OWN_EVERY_S: Final = 0.1


class DirectoryTakenError(ConfigError):
    """Another process works in the data directory."""


def open_host_locks(settings: Settings, board: Board) -> HostLocks | None:
    """Return the locks by which processes of this host share the data directory.

    None where one process has it alone: as the spool of an object store, with the locks of
    replicas, and where ``host_locks`` returns None. Raises ConfigError.
    """
    if settings.remote or settings.lock is not LockMode.LOCAL:
        return None
    return host_locks(settings, settings.data_dir, board)


def host_locks(settings: Settings, directory: str, board: Board) -> HostLocks | None:
    """Return the locks by which processes of this host share *directory*.

    None on a file system that has no such locks or that other hosts may have too, unless several
    workers are asked for. Raises ConfigError.
    """
    network = network_file_system(directory)
    if network:
        log.warning(
            "directory on a network file system: one host only may work in it",
            extra=fields(kind=network, directory=directory),
        )
        if settings.workers == 1:
            return None
    try:
        files = LockFiles(directory)
        try:
            return HostLocks(settings.lock_timeout_s, files, Post(directory), board)
        except BaseException:
            files.close()
            raise
    except (NoHostLocksError, OSError) as error:
        if settings.workers > 1:
            raise ConfigError(
                f"FILELOFT_WORKERS: the file system of {directory} has no locks between processes:"
                f" {error}"
            ) from error
        log.warning("no locks between processes here", extra=fields(error=error))
        return None


async def own(
    directory: FsStore, patience_s: float, *, alone: bool, on_wait: Callable[[], None]
) -> None:
    """Wait for a process that is stopping to give the data directory up, after *on_wait*."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    told = False
    try:
        while not directory.try_own(alone=alone):
            if loop.time() >= deadline:
                raise DirectoryTakenError(
                    "FILELOFT_DATA_DIR: another server works in this directory"
                )
            if not told:
                told = True
                on_wait()
            await asyncio.sleep(_OWN_EVERY_S)
    except OSError as error:
        log.warning("data directory without locks", extra=fields(error=error))
