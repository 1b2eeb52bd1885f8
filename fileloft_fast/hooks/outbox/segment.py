"""One file of the outbox: lines are appended in groups, each group written and synced in one go."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING, Final

from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, SYNC_NONE
from fileloft_fast.errors import ConfigError, StoreError
from fileloft_fast.hooks.outbox.entries import Entry, render
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.failures import store_error

if TYPE_CHECKING:
    from fileloft_fast.dataplane import Engine

log = logging.getLogger(__name__)

SUFFIX: Final = ".events"


class Segment:
    """An open file that this process holds the lock of; the kernel lets go when it ends.

    *durable* False: nothing is ever synced, which only a power cut would tell.
    """

    def __init__(  # noqa: PLR0913 - what a file is
        self,
        engine: Engine,
        directory: int,
        name: str,
        descriptor: int,
        size: int,
        *,
        durable: bool,
    ) -> None:
        self.name = name
        self.size = size
        self._engine = engine
        self._directory = directory
        self._descriptor = descriptor
        self._durable = durable
        self._named = size > 0
        self._pending = bytearray()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    async def write(self, *entries: Entry) -> None:
        """Return when *entries* would survive a power cut. Raises StoreError."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self.note(*entries)
        await done

    def note(self, *entries: Entry) -> None:
        """Write *entries* soon; a power cut may lose them."""
        for entry in entries:
            self._pending += render(entry)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._pump())

    async def read(self) -> bytes:
        """Return all that is in the file, which ends with a whole line then. Raises StoreError."""
        await self._settled()
        try:
            contents = await asyncio.shield(self._engine.read(self._descriptor, self.size, 0))
        except OSError as error:
            raise store_error(error) from error
        if contents and not contents.endswith(b"\n"):
            self._pending += b"\n"  # else what is written next would be a part of a torn line
            self.note()
        return contents

    async def close(self, *, remove: bool) -> None:
        """Write what was noted, and give the file up; *remove*: nobody needs it any more."""
        await self._settled()
        try:
            if remove:
                await self._engine.remove(self._directory, [self.name.encode()])
        except OSError as error:
            log.warning("outbox file not removed", extra=fields(file=self.name, error=error))
        finally:
            os.close(self._descriptor)

    async def _settled(self) -> None:
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _pump(self) -> None:
        while self._pending:
            data, self._pending = bytes(self._pending), bytearray()
            waiting, self._waiting = self._waiting, []
            failure: StoreError | None = None
            try:
                await self._append(data, durable=bool(waiting))
            except OSError as error:
                failure = store_error(error)
                log.error("outbox not written", extra=fields(file=self.name, error=error))  # noqa: TRY400 - the reason says it all
            except BaseException:
                failure = StoreError("the outbox is closed")  # else they would wait for ever
                self._task = None
                raise
            finally:
                for done in waiting:
                    _settle(done, failure)
        self._task = None

    async def _append(self, data: bytes, *, durable: bool) -> None:
        """Append *data*; where that fails, the next one goes to the same place."""
        sync = SYNC_NONE
        if durable and self._durable:
            sync = SYNC_DATA if self._named else SYNC_NAME
        name = self.name.encode()
        self.size = await self._engine.append(self._directory, name, data, self.size, sync)
        self._named = self._named or sync == SYNC_NAME


def _settle(done: asyncio.Future[None], failure: StoreError | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def create_segment(engine: Engine, directory: int, *, durable: bool) -> Segment:
    """Return a new file, locked before anybody can find it. Blocks. Raises OSError."""
    name = f"{time.time_ns():020d}-{secrets.token_hex(4)}{SUFFIX}"
    hidden = f".{name}.new"  # which nobody who looks for files to take over would take
    descriptor = os.open(
        hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory
    )
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(hidden, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.close(descriptor)
        os.unlink(hidden, dir_fd=directory)
        raise
    return Segment(engine, directory, name, descriptor, 0, durable=durable)


def adopt_segment(engine: Engine, directory: int, name: str, *, durable: bool) -> Segment | None:
    """Return a file whose owner is gone, None where it has one. Blocks. Raises OSError."""
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(descriptor)
    except OSError as error:
        os.close(descriptor)
        if error.errno == errno.EWOULDBLOCK:
            return None
        raise
    if not found.st_nlink:  # its owner has just removed it
        os.close(descriptor)
        return None
    return Segment(engine, directory, name, descriptor, found.st_size, durable=durable)


def names_of(directory: int) -> list[str]:
    """Return the names of all files there are, oldest first. Blocks."""
    return sorted(name for name in os.listdir(directory) if name.endswith(SUFFIX))


def open_folder(path: str, parent: str) -> int:
    """Make the folder, its name durable, and open it. Raises ConfigError."""
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103 - makes parents, one call
        above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(above)
        finally:
            os.close(above)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error
