"""A ``Response`` as the bytes of an HTTP/1.1 answer."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fileloft_fast.model import Response

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus} | {
    104: "Upload Resumption Supported",
    460: "Checksum Mismatch",
}
# Every status that a hook may choose; a reason may be empty (RFC 9112 section 4).
_STATUS_LINES: Final = {
    code: f"HTTP/1.1 {code} {_REASONS.get(code, '')}\r\n" for code in range(100, 600)
}


@lru_cache(maxsize=256)
def _common_lines(fields: tuple[tuple[str, str], ...]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in fields])


class DateLine:
    """The ``Date`` field, rendered once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        """Return the field with its line end."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


def render_head(
    response: Response, date: str, *, head_only: bool, close: bool, keep_alive_10: bool = False
) -> bytes:
    """Return status line and fields, the empty line included.

    *head_only*: the request was HEAD, no body follows. 204 and 304 never have a length
    (RFC 9110 section 8.6); nor has what goes on without an end.
    """
    # Strings that grow: of a few short lines, a list and its join cost more.
    text = _STATUS_LINES[response.status] + _common_lines(response.common)
    for name, value in response.own:
        text += f"{name}: {value}\r\n"
    if response.status not in {204, 304}:
        body = response.body
        length = len(body) if isinstance(body, bytes) else body.length
        if length or not (head_only or length is None):
            text += f"Content-Length: {length}\r\n"
    if close:
        text += "Connection: close\r\n"
    elif keep_alive_10:
        text += "Connection: keep-alive\r\n"
    return f"{text}{date}\r\n".encode("latin-1")


def render_interim(response: Response) -> bytes:
    """Return a whole 1xx answer: no body, no length, and nothing of the connection or the time."""
    assert 100 <= response.status < 200, response.status
    text = _STATUS_LINES[response.status] + _common_lines(response.common)
    for name, value in response.own:
        text += f"{name}: {value}\r\n"
    return f"{text}\r\n".encode("latin-1")
