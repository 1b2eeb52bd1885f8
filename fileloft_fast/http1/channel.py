"""One connection's socket in both directions: what is left unread, and what the client leaves so.

It knows of no requests; ``Connection`` does.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, ClassVar

from fileloft_fast.http1.kernel import is_hung_up, is_readable

if TYPE_CHECKING:
    from fileloft_fast.http1.site import Site


class Channel(asyncio.BufferedProtocol):
    """What a body (``body.SocketSide``) and an answer (``sending.Outlet``) ask of a connection."""

    secure: ClassVar[bool] = False
    high_water_bytes: ClassVar[int] = 0  # uvloop writes at once then, and tells what is left over

    def __init__(self, site: Site) -> None:
        self._site = site
        self._loop = site.loop
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._half_closed = False
        self._deadline = 0.0
        self._writable: asyncio.Future[None] | None = None  # set while the client reads too slowly
        self._unsent = 0  # bytes that waited for the client when it was looked at last

    # -- what uvloop calls ----------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The client does not read its answers: take no further request until it does."""
        if self._writable is None:
            self._writable = self._loop.create_future()
            self._await_reader(self._loop.time())

    def resume_writing(self) -> None:
        """Everything written has left."""
        if self._writable is not None:
            waiter, self._writable = self._writable, None
            if not waiter.done():
                waiter.set_result(None)

    # -- what a body asks -----------------------------------------------------------------------

    def pause(self) -> None:
        """Leave the socket unread."""
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read the socket again."""
        if not self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    def send_interim(self, data: bytes, *, needed: bool) -> bool:
        """Write; False where the client is gone, or does not read and the answer is not *needed*.

        It may be written while the socket is lent: the engine only reads from it.
        """
        if self._transport is None or self._transport.is_closing():
            return False
        if self._writable is not None and not needed:
            return False
        self._transport.write(data)
        return True

    def is_abandoned(self) -> bool:
        """Ask the kernel, since a paused loop hears of no FIN and no reset."""
        return self._transport is None or self._half_closed or is_hung_up(self._transport)

    def is_readable(self) -> bool:
        """Ask the kernel, since a busy loop comes late to what has arrived."""
        return self._transport is not None and is_readable(self._transport)

    def duplicate(self) -> int | None:
        """Return a new descriptor of the socket."""
        if self._transport is None or self._transport.is_closing():
            return None
        return os.dup(self._transport.get_extra_info("socket").fileno())

    # -- what a body asks that is sent ----------------------------------------------------------

    async def write(self, data: bytes) -> bool:
        """Write, and wait for a client that reads slowly; False where it is gone."""
        if self._transport is None:
            return False
        self._transport.write(data)
        if self._writable is not None:
            await self._writable
        return self._transport is not None

    # -- a client that reads slowly, and endings ------------------------------------------------

    async def _catch_up(self) -> None:
        """Wait until the client has read what was written; its time begins now."""
        if self._writable is not None and self._transport is not None:
            self._await_reader(self._loop.time())
            await self._writable

    def _check_reader(self, now: float) -> None:
        """Close where the client has read nothing for the time, or less than the least rate."""
        patience, waited = self._site.patience, self._unsent
        self._await_reader(now)
        read = waited - self._unsent
        if read < max(1, patience.min_rate_bytes_per_s * patience.body_s):
            self.abort()

    def _await_reader(self, now: float) -> None:
        self._unsent = self._unsent_bytes()
        self._deadline = now + self._site.patience.body_s

    def _unsent_bytes(self) -> int:
        assert self._transport is not None
        return self._transport.get_write_buffer_size()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()
