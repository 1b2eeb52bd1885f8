"""Where a file ends whose form the engine is still storing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fileloft_fast.stores import FsAppender

STEP_BYTES: Final = 64 * 1024 * 1024
_LOOK_S: Final = 0.25


class FileEnd:
    """Looks for *delimiter* in what *appender* gets, from *start* on.

    Of a long file it looks at what has come while the rest still comes: a file larger than memory
    would be read from the disk again, and its client would wait for that.
    """

    def __init__(
        self,
        appender: FsAppender,
        delimiter: bytes,
        start: int,
        *,
        step_bytes: int = STEP_BYTES,
        look_s: float = _LOOK_S,
    ) -> None:
        self._appender = appender
        self._delimiter = delimiter
        self._at = start
        self._found = -1
        self._step_bytes = step_bytes
        self._look_s = look_s

    @asynccontextmanager
    async def followed(self, moved: Callable[[], int], length: int) -> AsyncIterator[None]:
        """Follow a transfer of *length* bytes, of which *moved* are stored; raises StoreError."""
        if length <= self._step_bytes:
            yield
            return
        over = asyncio.Event()
        following = asyncio.create_task(self._follow(moved, over))
        try:
            yield
        finally:
            over.set()
            await following  # whoever closes the file must not do so under a search

    async def find(self, end: int) -> int:
        """Return where the first delimiter before *end* is, -1 where nowhere. Raises StoreError."""
        if self._found < 0:
            self._found = await self._appender.find(self._delimiter, self._at, end)
            self._at = max(self._at, end - len(self._delimiter) + 1)
        return self._found

    async def _follow(self, moved: Callable[[], int], over: asyncio.Event) -> None:
        while not over.is_set() and self._found < 0:
            end = moved()
            if end - self._at >= self._step_bytes:
                await self.find(end)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await over.wait()
