"""A PATCH that is under way, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.deadline import eventually
from tests.wire import NoAnswerError, Wire

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


def begin_append(
    endpoint: Endpoint, wire: Wire, upload: str, size: int, body: bytes, *, offset: int = 0
) -> None:
    """Send the head of a PATCH of *size* bytes and *body* of it, and wait until that is stored."""
    wire.send(endpoint.render_append(upload, offset, b"", {"Content-Length": str(size)}))
    wire.send(body)
    eventually(lambda: endpoint.offset(upload) == offset + len(body))


def end_of(wire: Wire) -> int:
    """Return the status that a pushed-out request was answered with; 0 for a closed connection."""
    try:
        answer = wire.read()
    except (NoAnswerError, ConnectionResetError):
        return 0
    return answer.status
