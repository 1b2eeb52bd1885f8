"""A listener of the status page's events: reads chunk by chunk, event by event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.wire import Wire, render_request

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from tests.wire import Answer

EVENTS: Final = "/ui/status/events"
KEY: Final = "the-key-of-the-status-page-of-32-bytes-or-more"


def request(key: str | None = KEY, method: str = "GET") -> bytes:
    """Return a request for the events."""
    authorization = None if key is None else f"Bearer {key}"
    return render_request(
        method, EVENTS, {"Tus-Resumable": None, "Authorization": authorization}, b""
    )


def asked(address: tuple[str, int], key: str | None) -> Answer:
    """Return a refusal."""
    with Wire(address, 10.0) as wire:
        return wire.ask(request(key))


class Listener:
    """The events of one answer on *wire*, whose head has been read."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._text = ""
        self.ended = False

    def next_event(self) -> tuple[str, Any] | None:
        """Return name and data of the next event; None at the end of the answer, in order."""
        while "\n\n" not in self._text:
            chunk = self._chunk()
            if not chunk:
                self.ended = True
                return None
            self._text += chunk.decode()
        event, _, self._text = self._text.partition("\n\n")
        if event == ":":  # a sign of life
            return self.next_event()
        name, data = event.split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    def snapshot(self, wanted: Callable[[Any], object] = lambda _: True, most: int = 30) -> Any:
        """Return the next snapshot that is *wanted*, of so many at most."""
        told = None
        for _ in range(most):
            event = self.next_event()
            assert event is not None, "no more events"
            name, told = event
            if name == "snapshot" and wanted(told):
                return told
        raise AssertionError(told)

    def read_to_end(self) -> None:
        """Read what still comes, until the end in order."""
        while self.next_event() is not None:
            pass
        self._wire.assert_silent_end()

    def _chunk(self) -> bytes:
        size = int(self._line(), 16)
        while len(self._wire.leftover) < size + 2:
            assert self._wire._receive(), "cut"
        chunk = self._wire._take(size)
        assert self._wire._take(2) == b"\r\n"
        return chunk

    def _line(self) -> bytes:
        while b"\r\n" not in self._wire.leftover:
            assert self._wire._receive(), "cut"
        line = self._wire._take(self._wire.leftover.index(b"\r\n"))
        self._wire._take(2)
        return line


@contextmanager
def listening(
    address: tuple[str, int], key: str = KEY, tls: ssl.SSLContext | None = None
) -> Iterator[Listener]:
    """Listen to the events; what was before has been read."""
    with Wire(address, 20.0, tls) as wire:
        wire.send(request(key))
        answer = wire._read_head()
        assert answer.status == 200, answer
        assert answer["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer["Transfer-Encoding"] == "chunked"
        assert answer["Cache-Control"] == "no-store"
        assert answer.closes
        listener = Listener(wire)
        event = listener.next_event()
        assert event is not None
        assert event[0] == "history"
        yield listener
