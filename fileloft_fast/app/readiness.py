"""Whether uploads should come to this process; why not, in a word each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import AckMode
from fileloft_fast.errors import FileloftError, StoreError

if TYPE_CHECKING:
    from fileloft_fast.app.storage import Storage
    from fileloft_fast.config import Settings
    from fileloft_fast.http1.site import Site

_FRESH_S: Final = 5.0
_PATIENCE_S: Final = 3.0
_ASKED_KEY: Final = "readyz"  # nobody's: an upload's object has an id as its name, and this is none


class Readiness:
    """Asks the parts when it is asked itself; the object store at most every five seconds."""

    def __init__(self, settings: Settings, storage: Storage, site: Site) -> None:
        self._storage = storage
        self._site = site
        self._min_free_bytes = settings.min_free_bytes
        self._store: Reach | None = None
        objects = storage.objects
        # In spool mode an upload is acknowledged without the store: it may be away for days.
        if objects is not None and settings.ack is not AckMode.SPOOL:
            key = f"{settings.prefix}.{_ASKED_KEY}"
            self._store = Reach(lambda: objects.head(key))

    async def reasons(self) -> list[str]:
        """Return why no upload should come here: nothing where one may."""
        found = []
        if self._site.draining:
            found.append("draining")
        try:
            if await self._storage.store.free_bytes() < self._min_free_bytes:
                found.append("disk_low")
        except StoreError:
            found.append("disk_failing")
        if self._store is not None and not await self._store.works():
            found.append("store_unreachable")
        return found


class Reach:
    """Whether *ask*, a small request, gets an answer; many who want to know share one."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._asking: asyncio.Task[bool] | None = None
        self._asked_at = float("-inf")

    async def works(self) -> bool:
        """Return what the last request said, or a new one where that is long ago."""
        loop = asyncio.get_running_loop()
        if self._asking is None or (
            self._asking.done() and loop.time() - self._asked_at > _FRESH_S
        ):
            self._asked_at = loop.time()
            self._asking = loop.create_task(self._try())
        return await asyncio.shield(self._asking)

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._ask()
        except (FileloftError, TimeoutError):
            return False
        return True
