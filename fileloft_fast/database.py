"""One SQLite file for all worker processes, written by one thread, many requests a transaction."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from fileloft_fast.errors import FileloftError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

T = TypeVar("T")
Work: TypeAlias = Callable[[sqlite3.Connection], T]
_Job: TypeAlias = tuple[Work[Any], "asyncio.Future[Any]"]

_BATCH: Final = 256
_BUSY_S: Final = 5.0
_OPEN_EVERY_S: Final = 0.02

_PRAGMAS: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL; -- what was written down must be so after a power cut
"""


class Database:
    """The file at *path* with the tables of *schema*, made when it is first needed.

    What is asked for while a transaction is being made durable goes into the next one together, so
    that many requests share one sync. *failed* is what whoever waits is told where the file cannot
    be used. With *reading* nothing is written: looks wait for no other process. *check* raises
    where a file that has just been opened is not to be used.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        failed: Callable[[], FileloftError],
        *,
        reading: bool = False,
        check: Work[None] = lambda _: None,
    ) -> None:
        self._path = path
        self._schema = schema
        self._failed = failed
        self._check = check
        self._begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._file: tuple[int, int] | None = None  # which file the name stood for
        self._loop = asyncio.get_running_loop()

    @property
    def used(self) -> bool:
        """Whether there is anything in it: what was never written down need not be taken away."""
        return self._thread is not None or self._path.exists()

    async def run(self, work: Work[T]) -> T:
        """Return what *work* does in a transaction, durable on return.

        *work* raises before it has written anything, or not at all. Raises what *failed* makes.
        """
        done: asyncio.Future[T] = self._loop.create_future()
        self._put((work, done))
        return await done

    def post(self, work: Work[None]) -> None:
        """Have *work* done soon; where it fails, the next audit makes up for it."""
        done: asyncio.Future[None] = self._loop.create_future()
        done.add_done_callback(_log_failure)
        self._put((work, done))

    async def close(self) -> None:
        """Do what was asked for, and close the file."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            self._jobs.put(None)
            await self._loop.run_in_executor(None, thread.join)

    def _put(self, job: _Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._path.stem, daemon=True)
            self._thread.start()
        self._jobs.put(job)

    # -- in the thread --------------------------------------------------------------------------

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        ending = False
        while not ending and (job := self._jobs.get()) is not None:
            jobs = [job]
            ending = self._add_waiting(jobs, _BATCH)
            try:
                connection = self._current(connection)
                results = _transact(connection, jobs, self._begin)
            except Exception as error:  # whoever waits must hear of a bug of ours, too
                seen = error if not isinstance(error, sqlite3.Error) else None
                said = fields(file=self._path, error=error)
                log.exception("database failed", extra=said, exc_info=seen)
                _close(connection)
                connection = None
                # Whoever came while this one was waited for must not wait as long again, and more
                # than can be done in that time must not pile up.
                ending = ending or self._add_waiting(jobs, math.inf)
                results = [self._failed()] * len(jobs)
            self._loop.call_soon_threadsafe(_resolve, jobs, results)
        _close(connection)

    def _add_waiting(self, jobs: list[_Job], most: float) -> bool:
        """Add what is asked for by now to *jobs*, up to *most*; return whether this is the end."""
        with contextlib.suppress(queue.Empty):
            while len(jobs) < most:
                job = self._jobs.get_nowait()
                if job is None:
                    return True
                jobs.append(job)
        return False

    def _current(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        """Return a connection to the file that has the name now.

        An operator may have taken the former one away. Other processes, and this one after a
        restart, count in the one that is there.
        """
        if connection is not None and _identity(self._path) == self._file:
            return connection
        _close(connection)
        connection = self._opened()
        self._file = _identity(self._path)
        return connection

    def _opened(self) -> sqlite3.Connection:
        """Open the file; processes that start together make it one after the other."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                return self._open()
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait for another one that changes to WAL.
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(_OPEN_EVERY_S)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            self._path.chmod(0o600)
            connection.executescript(_PRAGMAS + self._schema)
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _close(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        connection.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from another one of its name; None where none is."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _transact(connection: sqlite3.Connection, jobs: list[_Job], begin: str) -> list[Any]:
    """Return what each job returned, or the FileloftError that it raised. Raises sqlite3.Error."""
    results: list[Any] = []
    connection.execute(begin)
    try:
        for work, _ in jobs:
            try:
                results.append(work(connection))
            except FileloftError as error:
                results.append(error)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite has done it where the disk is full
            connection.execute("ROLLBACK")
        raise
    return results


def _resolve(jobs: list[_Job], results: list[Any]) -> None:
    for (_, done), result in zip(jobs, results, strict=True):
        if done.cancelled():
            continue
        if isinstance(result, FileloftError):
            done.set_exception(result)
        else:
            done.set_result(result)


def _log_failure(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.warning("database is behind", extra=fields(error=done.exception()))
