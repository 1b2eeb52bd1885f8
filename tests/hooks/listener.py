"""A hook server that knows tusd's JSON and nothing of us; it can be away for a while."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Reply = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """One request: its JSON, its header fields (lower-case names), its body as it came."""

    json: dict[str, Any]
    headers: dict[str, str]
    body: bytes

    @property
    def type(self) -> str:
        return str(self.json["Type"])

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def upload(self) -> dict[str, Any]:
        upload: dict[str, Any] = self.json["Event"]["Upload"]
        return upload


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer that is not simply JSON."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait: threading.Event | None = None


Answering = Callable[[Heard], Reply | Raw | None]


class HookServer:
    """Answers each event by what ``answers`` has for its name; hears all of them."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answers: dict[str, Answering | Reply | Raw] = {}
        self.asked = threading.Event()  # set once anything was asked, answered or not
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/hook?secret=of-the-url"

    def start(self) -> None:
        """Listen, on the port that it had before."""
        if self._server is not None:
            return
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                hooks._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        class Listening(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """Say nothing: those who call are killed on purpose."""

        self._server = Listening(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections; those that are open break."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def types(self, of: str) -> list[str]:
        """Return the names of all events of one upload's path, in the order in which they came."""
        ident = of.rpartition("/")[2]
        with self._changed:
            return [heard.type for heard in self.heard if heard.upload["ID"] == ident]

    def wait_for(
        self, kind: str, count: int = 1, *, of: str = "", within_s: float = 60.0
    ) -> list[Heard]:
        """Return what was heard of *kind* as soon as it was *count* times, *of* one upload's path.

        What another test has not waited for may still come.
        """
        ident = of.rpartition("/")[2]
        end = time.monotonic() + within_s
        with self._changed:
            while True:
                found = [
                    heard
                    for heard in self.heard
                    if heard.type == kind and ident in {"", heard.upload["ID"]}
                ]
                if len(found) >= count:
                    return found
                left = end - time.monotonic()
                assert left > 0, f"no {count} {kind} in {[heard.type for heard in self.heard]}"
                self._changed.wait(left)

    def clear(self) -> None:
        """Forget what was heard and what is to be answered."""
        with self._changed:
            self.heard.clear()
        self.answers.clear()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        if self._server is None:
            request.close_connection = True  # of a server that is gone
            return
        body = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        heard = Heard(json.loads(body), headers, body)
        self.asked.set()
        answer = self.answers.get(heard.type, {})
        said = answer(heard) if callable(answer) else answer
        raw = said if isinstance(said, Raw) else Raw(body=json.dumps(said or {}).encode())
        if raw.wait is not None:
            raw.wait.wait(30)
        request.send_response(raw.status)
        for name, value in raw.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(raw.body)))
        request.end_headers()
        try:
            request.wfile.write(raw.body)
            request.wfile.flush()
        except OSError:
            request.close_connection = True
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()
