"""Accepts where something comes before HTTP: a PROXY header, a TLS handshake, or both.

Plain connections are accepted by uvloop itself. These are accepted here, since uvloop tells nobody
of handshakes that run or fail, and reads more than a PROXY header.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

from fileloft_fast.http1.connection import Connection
from fileloft_fast.http1.peer import address_of
from fileloft_fast.http1.secure import SecureConnection
from fileloft_fast.listen.proxy_header import ProxyHeader, ProxyHeaderError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    import ssl

    from fileloft_fast.http1.site import Site

log = logging.getLogger(__name__)

_ACCEPTS_AT_ONCE: Final = 16
"""Connections taken in one go: other processes and other sockets want their turn too."""

_REST_S: Final = 0.5
"""How long nothing is accepted where descriptors ran out."""

_SHUTDOWN_S: Final = 3600.0
"""uvloop's own patience with a closing client; ours (``LINGER_S``) looks at what it does."""


class Doorway:
    """What connections of one site must pass, on any number of listening sockets.

    *tls* is what new connections shake hands with; who renews it changes the attribute.
    """

    def __init__(
        self, site: Site, tls: ssl.SSLContext | None = None, *, proxy_protocol: bool = False
    ) -> None:
        self.tls = tls
        self._site = site
        self._proxy_protocol = proxy_protocol
        self._listening: list[socket.socket] = []
        self._entering: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None

    def open(self, listening: socket.socket) -> None:
        """Accept on *listening*, which is closed with the doorway."""
        listening.setblocking(False)  # noqa: FBT003 - the library's signature
        self._listening.append(listening)
        self._site.loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Accept nothing more; who is about to come in still may."""
        if self._resting is not None:
            self._resting.cancel()
        for listening in self._listening:
            self._site.loop.remove_reader(listening)
            listening.close()
        self._listening.clear()

    def turn_away(self) -> None:
        """Close on who has not come in by now."""
        for task in self._entering:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("cannot accept", extra=fields(error=error))
                self._rest()
                return
            accepted.setblocking(False)  # noqa: FBT003 - as above
            self._welcome(accepted, address)

    def _rest(self) -> None:
        """Leave all sockets alone for a moment, else the loop would do nothing but fail."""
        for listening in self._listening:
            self._site.loop.remove_reader(listening)
        self._resting = self._site.loop.call_later(_REST_S, self._go_on)

    def _go_on(self) -> None:
        for listening in self._listening:
            self._site.loop.add_reader(listening, self._accept, listening)

    def _welcome(self, accepted: socket.socket, address: object) -> None:
        host, port = address[:2] if isinstance(address, tuple) else ("", 0)
        shown = address_of(host, port) if host else "unix"
        crowd = len(self._site.connections) + len(self._entering)
        reason = None
        if crowd >= self._site.max_connections:
            reason = "too many connections"  # a handshake is dear: nobody is told within TLS
        elif self._proxy_protocol and not self._may_tell(host):
            reason = "not a trusted proxy"
        if reason is not None:
            log.debug("connection closed", extra=fields(peer=shown, reason=reason))
            accepted.close()
            return
        task = self._site.loop.create_task(self._enter(accepted, shown))
        self._site.enter(task)
        self._entering.add(task)  # ours to turn away
        task.add_done_callback(self._entering.discard)

    def _may_tell(self, host: str) -> bool:
        return self._site.trusted is None or self._site.trusted.covers(host)

    async def _enter(self, accepted: socket.socket, shown: str) -> None:
        try:
            told = await self._read_header(accepted) if self._proxy_protocol else None
        except (ProxyHeaderError, OSError) as error:  # TimeoutError is one
            log.debug("connection closed", extra=fields(peer=shown, reason=error))
            accepted.close()
            return
        except BaseException:
            accepted.close()
            raise
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # From here on the socket is the transport's, which closes it.
        kind = Connection if self.tls is None else SecureConnection
        try:
            await self._site.loop.connect_accepted_socket(
                lambda: kind(self._site, told),
                accepted,
                ssl=self.tls,
                ssl_handshake_timeout=self._site.patience.head_s if self.tls else None,
                ssl_shutdown_timeout=_SHUTDOWN_S if self.tls else None,
            )
        except OSError as error:
            log.debug("no TLS", extra=fields(peer=told or shown, error=error))

    async def _read_header(self, accepted: socket.socket) -> str | None:
        """Read a PROXY header and no byte more. Raises ProxyHeaderError, OSError."""
        header = ProxyHeader()
        async with asyncio.timeout(self._site.patience.head_s):
            while header.wanted:
                data = await self._site.loop.sock_recv(accepted, header.wanted)
                if not data:
                    raise ProxyHeaderError("closed before the PROXY header ended")
                header.feed(data)
        return header.address
