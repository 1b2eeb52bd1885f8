"""TLS for a client that sends in one thread and reads in another."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from typing import Any


class TwoWaySocket(ssl.SSLSocket):
    """An SSLSocket that one thread may read while another writes.

    OpenSSL's object is not for two threads at a time, and CPython lets go of the GIL around it: two
    threads in one break the process. So each call takes its turn and none waits inside it.
    """

    _turn: threading.Lock
    _patience_s: float | None

    def share(self) -> None:
        """Begin to take turns; the handshake is over, and the timeout that is set stays."""
        self._turn = threading.Lock()
        self._patience_s = self.gettimeout()
        self.settimeout(0)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return what came, at most *buflen* bytes; empty at the end."""
        while True:
            try:
                with self._turn:
                    return super().recv(buflen, flags)
            except ssl.SSLWantReadError:
                self._wait(for_reading=True)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of *data*."""
        rest = memoryview(data)
        while rest:
            try:
                with self._turn:
                    rest = rest[super().send(rest, flags) :]
            except ssl.SSLWantWriteError:
                self._wait(for_reading=False)

    def shutdown(self, how: int) -> None:
        """End a side of the connection below TLS; what still comes is read as before."""
        socket.socket.shutdown(self, how)

    def _wait(self, *, for_reading: bool) -> None:
        lists = ([self], []) if for_reading else ([], [self])
        readable, writable, _ = select.select(*lists, [], self._patience_s)
        if not (readable or writable):
            raise TimeoutError("timed out")


def secured(plain: Any, tls: ssl.SSLContext, name: str) -> TwoWaySocket:
    """Return *plain* under TLS, its handshake done with the server that is called *name*."""
    tls.sslsocket_class = TwoWaySocket
    wrapped = tls.wrap_socket(plain, server_hostname=name)
    assert isinstance(wrapped, TwoWaySocket)
    wrapped.share()
    return wrapped
