"""A server on loopback that says whatever a test wants, and clients' scripts for it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from fileloft_fast.dataplane.load import Load, Step

Serve = Callable[[socket.socket], None]
OK: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


def head(first: str, *fields: str) -> bytes:
    return "\r\n".join([f"{first} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


def step(wanted: int = 204, first: str = "GET /", body: bytes = b"") -> Step:
    fields = [f"Content-Length: {len(body)}"] if body else []
    return Step(head(first, *fields), wanted, body=body)


class Peer:
    """One connection as the server sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ahead = bytearray()

    def read_request(self) -> tuple[bytes, bytes] | None:
        """Return a request's head and body; None at the end of the stream."""
        while b"\r\n\r\n" not in self.ahead:
            if not self._read():
                return None
        first, _, self.ahead = self.ahead.partition(b"\r\n\r\n")
        length = 0
        for line in first.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self.ahead) < length:
            if not self._read():
                return None
        body, self.ahead = self.ahead[:length], self.ahead[length:]
        return bytes(first), bytes(body)

    def _read(self) -> bool:
        got = self.sock.recv(1 << 18)
        self.ahead += got
        return bool(got)


class Scripted:
    """A listener whose connections *serve* has, each in a thread of its own."""

    def __init__(self, listener: socket.socket, serve: Serve) -> None:
        self.listener = listener
        self.connections = 0
        self._serve = serve
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self.listener.close()
        for sock in self._open:
            with suppress(OSError):  # the peer or its thread was faster
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for sock in self._open:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:  # shut down
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        with suppress(OSError), sock:  # the client may go at any time
            self._serve(sock)


@contextmanager
def serving(serve: Serve, listener: socket.socket | None = None) -> Iterator[Scripted]:
    """Serve on *listener*, a port of its own unless told otherwise."""
    server = Scripted(listener or socket.create_server(("127.0.0.1", 0), backlog=128), serve)
    try:
        yield server
    finally:
        server.close()


def saying(*answers: bytes) -> Serve:
    """Answer the requests of a connection with *answers* in turns, and then close it."""

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        for answer in answers:
            if peer.read_request() is None:
                return
            sock.sendall(answer)

    return serve


def always(answer: bytes = OK) -> Serve:
    """Answer every request with *answer*."""

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        while peer.read_request() is not None:
            sock.sendall(answer)

    return serve


def run(server: Scripted, *steps: Step, units: int = 1, timeout_s: float = 10.0) -> Load:
    """Run the script *steps* on one connection, and return what ran."""
    address = server.listener.getsockname()
    load = Load(address[:2], [steps], units=units, connections=1, timeout_s=timeout_s)
    load.run()
    return load
