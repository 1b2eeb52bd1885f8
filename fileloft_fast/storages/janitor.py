"""Deletes what no storage shows any more: replaced, removed, never verified, never finished."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import (
    FileloftError,
    StoreError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.model import UploadId
from fileloft_fast.observe.log import fields
from fileloft_fast.storages.catalogue import PAGE
from fileloft_fast.uploads.horizon import Horizon

if TYPE_CHECKING:
    from fileloft_fast.storages.named import NamedStorage

log = logging.getLogger(__name__)

_BATCH: Final = 200
_PAUSE_S: Final = 0.05


class Janitor:
    """Cleans one storage every *every_s* seconds, and at once where something is replaced.

    What was begun and got no byte for *ttl_s* seconds goes, unless it is an object or becomes one.
    """

    def __init__(self, storage: NamedStorage, *, every_s: float, ttl_s: float) -> None:
        self._storage = storage
        self._store = storage.reception.store
        self._locks = storage.reception.locks
        self._every_s = every_s
        self._ttl_s = ttl_s
        self._horizon = Horizon()
        self._swept_at = float("-inf")

    async def run(self) -> None:
        """Clean until cancelled; what fails is logged and tried again next time."""
        while True:
            try:
                async with asyncio.timeout(self._every_s):
                    await self._storage.dirty.wait()
            except TimeoutError:
                pass
            self._storage.dirty.clear()
            try:
                await self.clean()
            except FileloftError as error:
                log.warning("cleaning ended early", extra=self._said(error=error))
            except Exception:  # whatever it is, it must not end with this
                log.exception("cleaning failed", extra=self._said())

    async def clean(self) -> int:
        """Delete what may go by now; return how many uploads that were."""
        await self._expire()
        removed = await self._carry_away()
        now = time.monotonic()
        if now - self._swept_at >= self._every_s:
            self._swept_at = now
            removed += await self._sweep()
        if removed:
            log.info("cleaned", extra=self._said(removed=removed))
        return removed

    async def _expire(self) -> None:
        """Have what was not verified in time, and parts of nothing, carried away."""
        catalogue, name = self._storage.catalogue, self._storage.name
        catalogue.prune(time.time())
        expired = await catalogue.expired(name, time.time())
        for pending in expired:
            # Not while it is being verified: that may take as long as a bucket takes.
            if not self._locks.is_held(UploadId(pending.entry.blob)):
                await catalogue.settle(name, pending)
        more = await catalogue.sessions.expire(name, time.time() - self._ttl_s)
        if more or len(expired) == PAGE:
            self._storage.dirty.set()  # there may be more

    async def _carry_away(self) -> int:
        """Delete what nothing shows any more; what cannot be deleted is tried again next time."""
        catalogue, name = self._storage.catalogue, self._storage.name
        removed = 0
        while blobs := await catalogue.rubbish(name):
            gone: list[UploadId] = []
            for blob in blobs:
                try:
                    removed += await self._store.remove(blob)
                except StoreError as error:
                    log.warning("cannot be deleted", extra=self._said(id=blob, error=error))
                else:
                    gone.append(blob)
            await catalogue.forgotten(name, *gone)
            if len(gone) < len(blobs):
                break
        return removed

    async def _sweep(self) -> int:
        """Delete what was begun long ago and never became an object."""
        until = time.time() - self._ttl_s
        since = self._horizon.since(until)
        removed = seen = 0
        async for look in self._store.aged(since, until):
            for upload in look.uploads:
                removed += await self._sweep_one(upload)
                seen += 1
                if seen % _BATCH == 0:
                    await asyncio.sleep(_PAUSE_S)
        self._horizon.reach(until)
        await self._forget_unmade(until)
        return removed + await self._store.tidy()

    async def _forget_unmade(self, until: float) -> None:
        """Forget uploads that were to be made when a crash came, by tickets that are over."""
        catalogue, name = self._storage.catalogue, self._storage.name
        after = ""
        while page := await catalogue.unfinished(name, after):
            after, _ = page[-1]
            over = [upload for upload, wish in page if wish.expires_at <= until]
            catalogue.forget(name, *[each for each in over if not await self._is_there(each)])

    async def _is_there(self, upload: UploadId) -> bool:
        try:
            await self._store.load(upload)
        except UploadNotFoundError:
            return False
        return True

    async def _sweep_one(self, upload: UploadId) -> bool:
        try:
            info = (await self._store.load(upload)).info
            if self._locks.is_held(upload):
                return False
            async with self._locks.hold(upload):
                if await self._storage.catalogue.shows(self._storage.name, upload, info.path):
                    return False
                await self._store.remove(upload)
                self._storage.catalogue.forget(self._storage.name, upload)
        except UploadNotFoundError:
            return False
        except (StoreError, UploadLockedError) as error:
            log.warning("cleaning passes over", extra=self._said(id=upload, error=error))
            return False
        return True

    def _said(self, **values: object) -> dict[str, dict[str, object]]:
        return fields(storage=self._storage.name, **values)
