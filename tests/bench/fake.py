"""Servers that are worse than ours: what a load tool meets in the wild."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Manners:
    """What a server does wrong."""

    options: int = 404
    extensions: str | None = None
    create: int = 201
    takes_bytes_with_creation: bool = False
    loses_bytes: int = 0
    fails_every: int = 0
    head: int = 200
    tells_offset: bool = True
    limits: str | None = None
    """By the IETF's protocol: what ``Upload-Limit`` says."""


@dataclass(slots=True)
class Fake:
    """A tus server without checksums, downloads or anything else that it need not have."""

    manners: Manners = field(default_factory=Manners)
    uploads: dict[str, int] = field(default_factory=dict)
    posts: Iterator[int] = field(default_factory=itertools.count)
    patches: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    interims: Iterator[int] = field(default_factory=itertools.count)
    authorizations: set[str | None] = field(default_factory=set)
    url: str = ""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def fake_server(manners: Manners | None = None) -> Iterator[Fake]:
    """Run a server in threads of this process."""
    fake = Fake(manners or Manners())
    with _Server(fake) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}/up"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_OPTIONS(self) -> None:
        manners = self.server.fake.manners
        told = {} if manners.extensions is None else {"Tus-Extension": manners.extensions}
        told |= {} if manners.limits is None else {"Upload-Limit": manners.limits}
        self.answer(manners.options, told)

    def do_POST(self) -> None:
        fake = self.server.fake
        path = f"/up/{next(fake.posts)}"
        if "Upload-Complete" in self.headers:
            self.announce(path)
        size = len(self.body())
        if fake.manners.create == 201:
            fake.uploads[path] = size if fake.manners.takes_bytes_with_creation else 0
        self.answer(fake.manners.create, {"Location": path})

    def do_PATCH(self) -> None:
        fake = self.server.fake
        size = len(self.body())
        fails = fake.manners.fails_every
        if fails and next(fake.patches) % fails == 0:
            self.answer(503)
            return
        fake.uploads[self.path] += size - fake.manners.loses_bytes
        told = {"Upload-Offset": str(fake.uploads[self.path])}
        ended = self.headers["Upload-Complete"] == "?1"
        self.answer(201 if ended else 204, told if fake.manners.tells_offset else {})

    def do_DELETE(self) -> None:
        del self.server.fake.uploads[self.path]
        self.answer(204)

    def do_HEAD(self) -> None:
        self.body()
        fake = self.server.fake
        self.answer(fake.manners.head, {"Upload-Offset": str(fake.uploads[self.path])})

    def do_GET(self) -> None:
        self.answer(405)

    def announce(self, path: str) -> None:
        """Send two interim answers at once."""
        for _ in range(2):
            next(self.server.fake.interims)
            self.send_response_only(104, "Upload Resumption Supported")
            self.send_header("Location", path)
            self.send_header("Upload-Offset", "1")
            self.end_headers()

    def body(self) -> bytes:
        self.server.fake.authorizations.add(self.headers["Authorization"])
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def answer(self, status: int, fields: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (fields or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
