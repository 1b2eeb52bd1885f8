"""An HTTP server that answers as a test scripts it: what a store, or who gives keys, may say."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self

from tests.deadline import eventually

NO_FIELDS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True)
class Asked:
    """A request; the names of ``headers`` are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is answered; *cut* resets the connection after so many bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


RESET: Final = Answer(0)
"""No answer: the connection is reset."""

Script = Callable[[Asked], Answer]


def always(answer: Answer) -> Script:
    """Return a script that gives the same answer to everything."""
    return lambda _: answer


class Stub:
    """Listens on a loopback port, in threads of its own, until the end of the ``with``.

    ``asked`` are the requests that came whole.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.script = script
        stub = self

        class Handler(_Handler):
            def answer(self, asked: Asked) -> Answer:
                stub.asked.append(asked)
                return stub.script(asked)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        host, port = self._server.server_address[:2]
        self.url = f"{'https' if tls else 'http'}://{host!s}:{port}"
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Rude:
    """A server on a loopback port that reads no more than it likes, until the end of the ``with``.

    *manner* has each connection, in a thread of its own; what it returns counts as ``received``.
    """

    def __init__(self, manner: Callable[[socket.socket], int]) -> None:
        self.received = 0
        self._manner = manner
        self._listener = socket.create_server(("127.0.0.1", 0))
        host, port = self._listener.getsockname()
        self.url = f"http://{host}:{port}"
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for open_one in (self._listener, *self._connections):
            with suppress(OSError):  # the peer may have closed it already
                open_one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for open_one in (self._listener, *self._connections):
            open_one.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was shut down
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(ConnectionError):
            self.received += self._manner(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError, _ResetError):
            self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _serve(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        size = int(headers.get("content-length", "0"))
        body = self.rfile.read(size)
        if len(body) < size:
            raise _ResetError  # half a request is none
        answer = self.answer(Asked(self.command, self.path, headers, body))
        if answer.status == 0:
            self._reset()
        self.send_response(answer.status)
        length = {"Content-Length": str(len(answer.body))}
        for name, value in (length | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            self._reset()

    def _reset(self) -> None:
        """Close with RST, but let the peer take first what was sent."""
        self.wfile.flush()
        eventually(lambda: _unacknowledged(self.connection) == 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _ResetError


class _ResetError(Exception):
    pass


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes the peer's kernel does not have yet (SIOCOUTQ)."""

    raw = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int(struct.unpack("i", raw)[0])
