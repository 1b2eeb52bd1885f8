"""Whether the object store is away: then one request at a time finds out when it is back.

Thousands of uploads may wait to be shipped. That each of them tries by itself costs a core, and
tells nobody anything new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fileloft_fast.flush.retry import Backoff
    from fileloft_fast.model import UploadId

_ENOUGH: Final = 8
"""Uploads that have failed since anything worked, after which the store is taken to be away.

Fewer have their own waits between tries, and what one of them suffers from may be its own."""

_PROBE_S: Final = 5.0
"""The longest time between two probes: clients may wait for the store to come back."""


class Outage:
    """Counts who fails in a row. *reopen* is called when the next probe may go."""

    def __init__(self, new_backoff: Callable[[], Backoff], reopen: Callable[[], None]) -> None:
        self._new_backoff = new_backoff
        self._reopen = reopen
        self._backoff = new_backoff()
        self._failed: set[UploadId] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def away(self) -> bool:
        """Whether the store is taken to be away."""
        return len(self._failed) >= _ENOUGH

    def allows(self, flying: int) -> bool:
        """Whether a request may go beside *flying* others."""
        return not self.away or (flying == 0 and self._timer is None)

    def failed(self, upload: UploadId) -> bool:
        """A request for *upload* has failed; return whether it is the first in a row."""
        is_first = not self._failed
        if not self.away:
            self._failed.add(upload)
        if self.away and self._timer is None:
            wait_s = min(self._backoff.next_s(), _PROBE_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._on_due)
        return is_first

    def worked(self) -> bool:
        """A request has succeeded; return whether the store was away until now."""
        was_away = self.away
        self._failed.clear()
        self.close()
        if was_away:
            self._backoff = self._new_backoff()
        return was_away

    def close(self) -> None:
        """Probe no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_due(self) -> None:
        self._timer = None
        self._reopen()
