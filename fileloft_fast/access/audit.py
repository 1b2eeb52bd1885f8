"""The audit: the accounts are compared with the uploads there are, beside the requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import RemoteUnavailableError, StoreError, UploadNotFoundError

if TYPE_CHECKING:
    from fileloft_fast.access.accounts import Accounts, Seen
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores import AnyStore

_BATCH: Final = 200
_PAUSE_S: Final = 0.05  # after each batch: requests come first


class Audit:
    """Puts *accounts* right by what *store* has.

    *is_held* tells whether a request works on an upload: of one whose length is deferred, it has
    more in the accounts than has come so far.
    """

    def __init__(
        self, accounts: Accounts, store: AnyStore, is_held: Callable[[UploadId], bool]
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._is_held = is_held

    async def run(self, names: AsyncIterator[UploadId]) -> None:
        """Look at each of *names*. Raises AccountsError, and RemoteUnavailableError.

        Where the store cannot be asked nothing is known, and nobody gets anything back.
        """
        seen: list[Seen] = []
        looks = 0
        async for upload in names:
            looks += 1
            if looks % _BATCH == 0:
                await self._write_down(seen)
                seen.clear()
                await asyncio.sleep(_PAUSE_S)
            looked_at = time.time()
            try:
                info = (await self._store.load(upload)).info
            except UploadNotFoundError:
                continue
            except RemoteUnavailableError:
                raise
            except StoreError:  # there, and not to be read: the sweep says it
                seen.append((upload, None, looked_at))
            else:
                unsure = info.length is None and self._is_held(upload)
                if info.owner:
                    seen.append((upload, None if unsure else info, looked_at))
        await self._write_down(seen)

    async def _write_down(self, seen: list[Seen]) -> None:
        """Write down how uploads were; of those that were not known, only what is still there."""
        for upload in await self._accounts.correct(seen):
            try:
                await self._store.load(upload)
            except UploadNotFoundError:  # removed between the two: nobody will give it back again
                self._accounts.release(upload)
            except StoreError:
                continue
