"""Clients that let no request fail: small uploads at a rate, and bodies that take seconds."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING, Final

from tests.wire import OCTETS, Answer, Wire, render_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.endpoint import Endpoint

_SMALL: Final = b"s" * 1000
_PIECE: Final = 16_384
_CLIENTS: Final = 8


class Load:
    """*rate* small uploads a second and *streams* bodies of *stream_bytes*, until ``stop``.

    A client keeps its connection until an answer says that it ends. Anything but a success is a
    fault: these clients never try again.
    """

    def __init__(
        self, endpoint: Endpoint, *, rate: float, streams: int, stream_bytes: int, stream_s: float
    ) -> None:
        self.faults: list[str] = []
        self.small = 0
        self.streamed = 0
        self.slowest_s = 0.0
        """Of the small uploads."""
        self._endpoint = endpoint
        self._interval_s = _CLIENTS / rate
        self._content = random.Random(3).randbytes(stream_bytes)
        self._pause_s = stream_s / max(1, stream_bytes // _PIECE)
        self._over = threading.Event()
        self._lock = threading.Lock()
        kinds = [self._upload_small] * _CLIENTS + [self._stream] * streams
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in kinds]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every request end, and every client."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, kind: Callable[[], None]) -> None:
        try:
            kind()
        except Exception as fault:
            self.faults.append(f"{kind.__name__}: {fault!r}")

    def _upload_small(self) -> None:
        fields = {"Upload-Length": str(len(_SMALL)), "Content-Type": OCTETS}
        request = render_request("POST", self._endpoint.base, fields, _SMALL)
        wire = self._endpoint.connect()
        due = time.monotonic()
        while not self._over.is_set():
            started = time.monotonic()
            answer = wire.ask(request)
            assert answer.status == 201, answer
            with self._lock:
                self.small += 1
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            if answer.closes:
                wire.socket.close()
                wire = self._endpoint.connect()
            due += self._interval_s
            self._over.wait(max(0.0, due - time.monotonic()))
        wire.socket.close()

    def _stream(self) -> None:
        while not self._over.is_set():
            upload = self._endpoint.create(len(self._content))
            fields = {"Upload-Offset": "0", "Content-Type": OCTETS}
            fields["Content-Length"] = str(len(self._content))
            with self._endpoint.connect(30) as wire:
                wire.send(render_request("PATCH", upload, fields))
                answer = self._pour(wire)
            assert answer.status == 204, answer
            assert answer["Upload-Offset"] == str(len(self._content))
            with self._lock:
                self.streamed += 1

    def _pour(self, wire: Wire) -> Answer:
        for start in range(0, len(self._content), _PIECE):
            wire.send(self._content[start : start + _PIECE])
            self._over.wait(self._pause_s)
        return wire.read()
