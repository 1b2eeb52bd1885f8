"""At most so many bytes a second leave for the store (``FILELOFT_FLUSH_RATE``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_CREDIT_S: Final = (
    0.25  # of unused rate that is kept: timers are late, and lateness must not add up
)


class Rate:
    """A token bucket; who asks first is served first. A ``Pace``.

    What is larger than the bucket is let through in one go, and paid for by whoever comes next.
    *clock* and *sleep* are the loop's by default.
    """

    def __init__(
        self,
        bytes_per_s: int,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._paid_until = float("-inf")
        self._turn = asyncio.Lock()
        self.taken = 0
        """Bytes that were let through so far."""

    async def take(self, size: int) -> None:
        """Wait until *size* more bytes may be sent; at once where the rate is 0 (no limit).

        A wait that is cancelled has taken nothing.
        """
        if not self._bytes_per_s:
            self.taken += size
            return
        async with self._turn:
            while (wait_s := self._paid_until - self._now()) > 0:
                await self._sleep(wait_s)
            start = max(self._paid_until, self._now() - _CREDIT_S)
            self._paid_until = start + size / self._bytes_per_s
            self.taken += size

    def _now(self) -> float:
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()
