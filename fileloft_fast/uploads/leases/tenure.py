"""For how long a lease can be counted on, by nobody's clock but the holder's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_MARGIN: Final = 0.1
"""The part of a lease that is not made use of: clocks drift, and what was begun has to end."""


class Tenure:
    """The time until a lease must be taken for lost; *on_end* is called then, once.

    What the others see of a renewal they see after it was sent: so a lease of *ttl_s* lasts from
    when the last renewal that was confirmed had been sent (*sent_at*, the loop's time).
    """

    __slots__ = ("_ended", "_ends_at", "_lasts_s", "_loop", "_on_end", "_timer")

    def __init__(self, ttl_s: float, sent_at: float, on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lasts_s = ttl_s * (1 - _MARGIN)
        self._ends_at = sent_at + self._lasts_s
        self._on_end = on_end
        self._ended = False
        self._timer = self._loop.call_at(self._ends_at, self._look)

    @property
    def over(self) -> bool:
        """Whether the lease is lost or given up, whatever is heard of it from now on."""
        return self._ended or self._loop.time() >= self._ends_at

    def renew(self, sent_at: float) -> None:
        """Count from a renewal that was confirmed; one that comes too late changes nothing."""
        if not self.over:
            self._ends_at = max(self._ends_at, sent_at + self._lasts_s)

    def stop(self) -> None:
        """End it without a call of *on_end*."""
        self._ended = True
        self._timer.cancel()

    def end(self) -> None:
        """End it: another replica has the upload, or may have it."""
        if not self._ended:
            self.stop()
            self._on_end()

    def _look(self) -> None:
        if self._loop.time() >= self._ends_at:
            self.end()
        else:  # renewed since: cheaper than a timer for each renewal
            self._timer = self._loop.call_at(self._ends_at, self._look)
