"""Deletes what has expired, a little at a time, beside the requests that are served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from fileloft_fast.errors import (
    FileloftError,
    LockServiceError,
    RemoteUnavailableError,
    StoreError,
    UploadGoneError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.observe.board import Board
from fileloft_fast.observe.log import fields
from fileloft_fast.uploads.horizon import Horizon

if TYPE_CHECKING:
    from fileloft_fast.access import Access
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores import AnyStore
    from fileloft_fast.uploads.expiry import Expiry
    from fileloft_fast.uploads.locks import Locks

log = logging.getLogger(__name__)

_BATCH: Final = 200
_AUDIT_S: Final = 30.0  # processes that start together: one of them audits
_PAUSE_S: Final = 0.05  # after each batch: at most 4,000 uploads a second are loaded


class Turn(Protocol):
    """What one process at a time does for all of them."""

    def try_take(self) -> bool:
        """Take it, or go on with it; False while another process does it."""

    def leave(self) -> None:
        """Leave it to another process."""


class Sweeper:
    """Looks every *expired_s* seconds for expired uploads, every *leftovers_s* for what is left.

    *expired_s* is None where nothing expires. *access* hears of what is deleted, and has its
    accounts put right, at first and with each look for leftovers, but for *audits* False:
    where other processes have uploads that this one cannot see. *turn*: where several processes
    could sweep, only the one that has it does.
    """

    def __init__(  # noqa: PLR0913 - the composition root hands every part in
        self,
        store: AnyStore,
        locks: Locks,
        expiry: Expiry,
        *,
        expired_s: float | None,
        leftovers_s: float,
        access: Access | None = None,
        audits: bool = True,
        turn: Turn | None = None,
        board: Board | None = None,
    ) -> None:
        self._store = store
        self._locks = locks
        self._expiry = expiry
        self._expired_s = expired_s
        self._leftovers_s = leftovers_s
        self._access = access
        self._audits = audits
        self._turn = turn
        self._board = Board() if board is None else board
        self._horizon = Horizon()

    async def run(self) -> None:
        """Sweep until cancelled; storage that fails is logged and tried again next time."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat(self._tidy, self._leftovers_s))
                if self._expired_s is not None:
                    group.create_task(self._repeat(self._sweep, self._expired_s))
                if self._access is not None and self._audits:
                    await _guarded(self._audit)
                    group.create_task(self._repeat(self._audit, self._leftovers_s))
        finally:
            if self._turn is not None:
                self._turn.leave()

    async def sweep(self, on_seen: Callable[[int], object] = lambda _: None) -> tuple[int, int]:
        """Delete every expired upload that nobody holds; return how many, of how many.

        *on_seen* is called with how many were looked at. The next sweep of this sweeper looks only
        at what has grown old since, and at what this one had to pass over.
        """
        until = self._expiry.horizon()
        since = self._horizon.since(until)
        removed = seen = loaded = 0
        again = frozenset(self._horizon.passed_over)
        for upload in again:
            removed += await self._sweep_one(upload)
        async for look in self._store.aged(since, until):
            seen += look.seen
            on_seen(look.seen)
            for upload in look.uploads:
                if upload not in again:
                    removed += await self._sweep_one(upload)
                loaded += 1
                if loaded % _BATCH == 0:
                    await asyncio.sleep(_PAUSE_S)
        self._horizon.reach(until)
        return removed, seen

    async def _sweep(self) -> None:
        started = time.monotonic()
        removed, seen = await self.sweep()
        if removed:
            spent = round(time.monotonic() - started, 1)
            log.info("swept", extra=fields(removed=removed, seen=seen, seconds=spent))

    async def _tidy(self) -> None:
        removed = await self._store.tidy()
        if removed:
            log.info("tidied", extra=fields(removed=removed))

    async def _audit(self) -> None:
        if self._access is not None:
            await self._access.audit(self._store, self._locks.is_held, _AUDIT_S)

    async def _sweep_one(self, upload: UploadId) -> bool:
        """Delete *upload* if it has expired; return whether it was deleted.

        What has expired, or cannot be looked at, and is still there: the next sweep looks again.
        """
        passed_over = self._horizon.passed_over
        try:
            if not await self._is_expired(upload):
                passed_over.discard(upload)
                return False
            if await self._remove(upload):
                passed_over.discard(upload)
                self._board.add("fileloft_uploads_expired_total")
                return True
        except (RemoteUnavailableError, LockServiceError):  # nor is any other upload to be had
            raise
        except (StoreError, UploadLockedError) as error:  # held by another replica
            log.warning("sweep passes over", extra=fields(id=upload, error=error))
        passed_over.add(upload)
        return False

    async def _is_expired(self, upload: UploadId) -> bool:
        with contextlib.suppress(UploadNotFoundError):
            try:
                self._expiry.check((await self._store.load(upload)).info)
            except UploadGoneError:
                return True
        return False

    async def _remove(self, upload: UploadId) -> bool:
        """Delete under the lock, unless a writer is at work or has just been (T135)."""
        if self._locks.is_held(upload):
            return False
        async with self._locks.hold(upload):
            removed = await self._is_expired(upload) and await self._store.remove(upload)
            if removed and self._access is not None:
                self._access.release(upload)
            return removed

    async def _repeat(self, work: Callable[[], Awaitable[None]], interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if self._turn is None or self._turn.try_take():
                await _guarded(work)


async def _guarded(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except FileloftError as error:
        log.warning("sweep ended early", extra=fields(error=error, cause=error.__cause__))
    except Exception:  # whatever it is, what expires must not depend on a restart
        log.exception("sweep failed")
