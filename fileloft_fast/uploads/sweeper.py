"""Deletes what has expired, a little at a time, beside the requests that are served."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import StoreError, UploadGoneError, UploadNotFoundError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores import AnyStore
    from fileloft_fast.uploads.expiry import Expiry
    from fileloft_fast.uploads.locks import Locks

log = logging.getLogger(__name__)

_BATCH: Final = 200
_PAUSE_S: Final = 0.05  # after each batch: at most 4,000 uploads a second are looked at


class Sweeper:
    """Goes through all uploads every *interval_s* seconds."""

    def __init__(self, store: AnyStore, locks: Locks, expiry: Expiry, *, interval_s: float) -> None:
        self._store = store
        self._locks = locks
        self._expiry = expiry
        self._interval_s = interval_s

    async def run(self) -> None:
        """Sweep until cancelled; a failing disk is logged and tried again next time."""
        while True:
            await asyncio.sleep(self._interval_s)
            started = time.monotonic()
            try:
                removed, seen = await self.sweep()
            except Exception:  # whatever it is, what expires must not depend on a restart
                log.exception("sweep failed")
                continue
            if removed:
                spent = round(time.monotonic() - started, 1)
                log.info("swept", extra=fields(removed=removed, seen=seen, seconds=spent))

    async def sweep(self) -> tuple[int, int]:
        """Delete every expired upload that nobody holds; return how many, of how many."""
        removed = seen = 0
        async for upload in self._store.names():
            seen += 1
            if await self._is_expired(upload) and await self._remove(upload):
                removed += 1
            if seen % _BATCH == 0:
                await asyncio.sleep(_PAUSE_S)
        return removed, seen

    async def _is_expired(self, upload: UploadId) -> bool:
        try:
            self._expiry.check((await self._store.load(upload)).info)
        except UploadGoneError:
            return True
        except UploadNotFoundError:
            return False
        except StoreError as error:
            log.warning("sweep passes over", extra=fields(id=upload, error=error))
        return False

    async def _remove(self, upload: UploadId) -> bool:
        """Delete under the lock, unless a writer is at work or has just been (T135)."""
        if self._locks.holder(upload) is not None:
            return False
        async with self._locks.hold(upload):
            if not await self._is_expired(upload):
                return False
            try:
                return await self._store.remove(upload)
            except StoreError as error:
                log.warning("sweep passes over", extra=fields(id=upload, error=error))
                return False
