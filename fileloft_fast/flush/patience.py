"""How long a request goes on trying where the object store does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fileloft_fast.errors import RemoteRefusedError, RemoteUnavailableError
from fileloft_fast.flush.retry import Backoff

T = TypeVar("T")


class Patience:
    """One request's time: everything that it tries together ends *limit_s* from now.

    A request that is refused is tried again too: credentials get mended.
    """

    __slots__ = ("_backoff", "_end")

    def __init__(self, limit_s: float, backoff: Backoff | None = None) -> None:
        self._end = asyncio.get_running_loop().time() + limit_s
        self._backoff = Backoff() if backoff is None else backoff

    async def insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what *attempt* returns, trying again until it does.

        Raises the last RemoteUnavailableError or RemoteRefusedError when the time is over, and any
        other failure at once.
        """
        self._backoff.reset()
        while True:
            try:
                return await self._attempted(attempt)
            except (RemoteUnavailableError, RemoteRefusedError):
                wait_s = self._backoff.next_s()
                if asyncio.get_running_loop().time() + wait_s >= self._end:
                    raise
                await asyncio.sleep(wait_s)

    async def _attempted(self, attempt: Callable[[], Awaitable[T]]) -> T:
        limit = asyncio.timeout_at(self._end)
        try:
            async with limit:
                return await attempt()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise RemoteUnavailableError("the object store did not answer in time") from error
