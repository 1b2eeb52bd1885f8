"""A connection under TLS: its socket cannot be lent, and there is no half-close."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from fileloft_fast.http1.connection import Connection
from fileloft_fast.http1.limits import (
    DRAIN_LINGER_S,
    LINGER_BYTES,
    LINGER_S,
    MAX_AHEAD_SECURE_BYTES,
)
from fileloft_fast.http1.state import State

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

    from fileloft_fast.http1.site import Site

# struct tcp_info of linux/tcp.h: tcpi_unacked, tcpi_bytes_acked and _received, tcpi_notsent_bytes.
_TCP_INFO: Final = struct.Struct("=24xI92xQQ8xI")


class _Traffic(NamedTuple):
    """What TCP knows of a connection."""

    taken: int = 0  # bytes that the client has acknowledged
    received: int = 0
    waiting: bool = False  # whether bytes are on their way to the client


class SecureConnection(Connection):
    """``Connection`` under TLS, which has been agreed on when ``connection_made`` is called."""

    secure: ClassVar[bool] = True
    ahead_bytes: ClassVar[int] = MAX_AHEAD_SECURE_BYTES
    # uvloop's TLS transport takes 0 for "at least nothing waits" and pauses at once.
    high_water_bytes: ClassVar[int] = 1

    def __init__(self, site: Site, told: str | None = None) -> None:
        super().__init__(site, told)
        self._before = _Traffic()  # when the lingering began, or was prolonged

    def eof_received(self) -> bool:
        """End the body; no answer can follow, since uvloop closes on the client's close_notify."""
        super().eof_received()
        return False

    def is_abandoned(self) -> bool:
        """Also where uvloop has given the socket back, and has not told us yet."""
        return self._below() is None or super().is_abandoned()

    def is_readable(self) -> bool:
        """Not where there is no socket any more."""
        return self._below() is not None and super().is_readable()

    def duplicate(self) -> int | None:
        """Return None: what the socket holds is encrypted."""
        return None

    def check(self, now: float) -> None:
        """Also end a refused client that goes on sending; wait for one that reads slowly."""
        if self._state is State.LINGERING:
            seen, before = self._traffic(), self._before
            if seen.received - before.received > LINGER_BYTES:
                self.abort()
                return
            least = max(1, self._site.patience.min_rate_bytes_per_s * LINGER_S)
            if now > self._deadline and seen.waiting and seen.taken - before.taken >= least:
                self._before = seen
                self._deadline = now + LINGER_S
        super().check(now)

    def _unsent_bytes(self) -> int:
        # What waits in the transport below TLS cannot be seen; what the client has taken can.
        return -self._traffic().taken

    def _linger(self) -> None:
        """Send close_notify; uvloop drops what still comes until the client has closed as well."""
        if self._transport is None:
            return
        self._state = State.LINGERING
        self._body = None
        self._before = self._traffic()
        patience = DRAIN_LINGER_S if self._site.draining else LINGER_S
        self._deadline = self._loop.time() + patience
        self._transport.close()

    def _close(self) -> None:
        self._linger()

    def _traffic(self) -> _Traffic:
        if (below := self._below()) is None:
            return _Traffic()
        info = below.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        unacknowledged, taken, received, unsent = _TCP_INFO.unpack(info)
        return _Traffic(taken, received, bool(unacknowledged or unsent))

    def _below(self) -> TransportSocket | None:
        """Return the socket; None where uvloop has closed it and tells us next."""
        if self._transport is None:
            return None
        found: TransportSocket | None = self._transport.get_extra_info("socket")
        return found
