"""Server-sent events of what the server does: one snapshot for all who listen, none for nobody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from fileloft_fast.errors import OverloadedError

if TYPE_CHECKING:
    from fileloft_fast.pages.snapshot import Snapshot

log = logging.getLogger(__name__)

MOST_LISTENERS: Final = 16
HEARTBEAT_S: Final = 10.0
_HISTORY_S: Final = 300
_AFTER_FAILURE_S: Final = 1.0
_BEAT: Final = b":\n\n"  # a comment: the browser drops it, and whoever has gone is noticed

Point = tuple[float, float, float, float]
"""A moment's place in the plot: at, bytes a second in, out, and to the object store."""


class Broadcast:
    """Tells every listener what *make* returns, which waits until it is time for the next one.

    Lives on one loop. A listener that reads slowly misses snapshots and holds nobody up.
    """

    def __init__(
        self, make: Callable[[], Awaitable[Snapshot]], *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._make = make
        self._heartbeat_s = heartbeat_s
        self._listeners = 0
        self._telling: asyncio.Task[None] | None = None
        self._turn = asyncio.Event()  # another one each time: whoever waits for it wakes once
        self._latest = b""
        self._history = deque[Point](maxlen=_HISTORY_S)

    @property
    def busy(self) -> bool:
        """Whether somebody listens, so that snapshots are made."""
        return self._telling is not None

    def check_room(self) -> None:
        """Raise OverloadedError where as many listen as may.

        Who begins to listen without waiting for anything in between is sure of a place.
        """
        if self._listeners >= MOST_LISTENERS:
            raise OverloadedError("too many listeners")

    async def listen(self, until: float) -> AsyncGenerator[bytes, None]:
        """Yield what was, then what is, as events, for as long as *until* (since the epoch)."""
        self._listeners += 1
        if self._telling is None:
            self._latest = b""  # of another time
            self._telling = asyncio.get_running_loop().create_task(self._tell())
        try:
            yield _event(b"history", list(self._history))
            if self._latest:
                yield self._latest
            while (left_s := until - time.time()) > 0:
                turned = self._turn
                try:
                    async with asyncio.timeout(min(left_s, self._heartbeat_s)):
                        await turned.wait()
                except TimeoutError:
                    yield _BEAT
                else:
                    yield self._latest
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._telling.cancel()
                self._telling = None

    async def _tell(self) -> None:
        while True:
            try:
                snapshot = await self._make()
            except Exception:  # a bug of ours: the page sees that nothing new comes
                log.exception("no snapshot")
                await asyncio.sleep(_AFTER_FAILURE_S)
                continue
            if snapshot.rates is not None:
                rates = snapshot.rates
                self._history.append((snapshot.at, rates.received, rates.sent, rates.shipped))
            self._latest = _event(b"snapshot", snapshot)
            turned, self._turn = self._turn, asyncio.Event()
            turned.set()


def _event(name: bytes, said: object) -> bytes:
    """Return an event; JSON as msgspec writes it has no line end in it."""
    return b"event: %b\ndata: %b\n\n" % (name, msgspec.json.encode(said))
