"""How long a request goes on trying where the object store does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fileloft_fast.errors import RemoteRefusedError, RemoteUnavailableError
from fileloft_fast.flush.retry import Backoff

T = TypeVar("T")


class Patience:
    """One request's time: what it tries ends where for *limit_s* nothing has moved.

    *moved* grows while the store takes bytes, which on a slow link may be all that happens for
    long. A request that is refused is tried again too: credentials get mended.
    """

    __slots__ = ("_backoff", "_limit_s", "_moved")

    def __init__(
        self,
        limit_s: float,
        *,
        moved: Callable[[], int] = lambda: 0,
        backoff: Backoff | None = None,
    ) -> None:
        self._limit_s = limit_s
        self._moved = moved
        self._backoff = Backoff() if backoff is None else backoff

    async def insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what *attempt* returns, trying again until it does.

        Raises the last RemoteUnavailableError or RemoteRefusedError when the time is over, and any
        other failure at once.
        """
        loop = asyncio.get_running_loop()
        self._backoff.reset()
        end = loop.time() + self._limit_s
        moved = self._moved  # a store that takes bytes to refuse them moves nothing
        while True:
            try:
                return await self._attempted(attempt, end, moved)
            except (RemoteUnavailableError, RemoteRefusedError):
                wait_s = self._backoff.next_s()
                if loop.time() + wait_s >= end:
                    raise
                await asyncio.sleep(wait_s)
                moved = _never

    async def _attempted(
        self, attempt: Callable[[], Awaitable[T]], end: float, moved: Callable[[], int]
    ) -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(attempt())
        try:
            seen = moved()
            while not (await asyncio.wait([task], timeout=max(0.0, end - loop.time())))[0]:
                if moved() == seen:
                    raise RemoteUnavailableError("the object store did not answer in time")
                seen, end = moved(), loop.time() + self._limit_s
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])


def _never() -> int:
    return 0
