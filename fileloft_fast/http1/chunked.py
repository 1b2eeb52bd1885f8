"""The chunked transfer coding, read strictly (RFC 9112 section 7.1).

Our own reader, since httptools does not say where in a buffer a message ends, bounds neither
extensions nor trailers, and copies every piece; see docs/adr.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from fileloft_fast.errors import BadRequestError, HeadTooLargeError
from fileloft_fast.http1.limits import (
    MAX_CHUNK_EXTENSION_BYTES,
    MAX_CHUNK_LINE_BYTES,
    MAX_TRAILER_BYTES,
    MAX_TRAILER_FIELDS,
)

KEPT_TRAILERS: Final = frozenset({"upload-checksum"})
"""Trailer fields that mean something here; every other one is dropped (RFC 9110 section 6.5.1)."""

_FORBIDDEN_TRAILERS: Final = frozenset({"content-length", "transfer-encoding"})

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SIZE_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})((?:;"
    + _TOKEN
    + rb"(?:=(?:"
    + _TOKEN
    + rb'|"[^"\\\x00-\x1f\x7f]*"))?)*)\Z'
)
_is_token: Final = re.compile(_TOKEN).fullmatch
_is_value: Final = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch


class _Expect(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkedReader:
    """Turns the bytes of one chunked body into its content, however they are cut."""

    __slots__ = (
        "_expect",
        "_extensions",
        "_fields",
        "_left",
        "_line",
        "_trailer_bytes",
        "trailers",
    )

    def __init__(self) -> None:
        self._expect = _Expect.SIZE
        self._line = b""  # the beginning of a line whose end has not come
        self._left = 0  # bytes of the current chunk still to come
        self._extensions = 0
        self._trailer_bytes = 0
        self._fields = 0
        self.trailers: dict[str, str] = {}

    @property
    def ended(self) -> bool:
        """Whether the empty line after the last chunk has been read."""
        return self._expect is _Expect.NOTHING

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the content in *data*, and what follows the end of the body.

        Raises BadRequestError or HeadTooLargeError where the framing breaks; content that came
        before the break in the same call is lost, as nobody can tell whether it is content.
        """
        pieces: list[bytes] = []
        at = 0
        size = len(data)
        while at < size and self._expect is not _Expect.NOTHING:
            if self._expect is _Expect.DATA:
                end = min(size, at + self._left)
                pieces.append(data[at:end] if at or end < size else data)
                self._left -= end - at
                at = end
                if self._left == 0:
                    self._expect = _Expect.DATA_END
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._keep_partial(data[at:])
                return pieces, b""
            line = self._line + data[at : end + 1]
            self._line = b""
            at = end + 1
            self._on_line(line)
        return pieces, data[at:]

    def _keep_partial(self, rest: bytes) -> None:
        self._line += rest
        if self._expect is _Expect.DATA_END and not b"\r\n".startswith(self._line):
            raise BadRequestError("chunk longer than its size")
        if len(self._line) > MAX_CHUNK_LINE_BYTES:
            raise BadRequestError("chunk line too long")

    def _on_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            raise BadRequestError("bare LF in a chunked body")
        if len(line) > MAX_CHUNK_LINE_BYTES:
            raise BadRequestError("chunk line too long")
        if self._expect is _Expect.SIZE:
            self._on_size(line[:-2])
        elif self._expect is _Expect.DATA_END:
            if line != b"\r\n":
                raise BadRequestError("chunk longer than its size")
            self._expect = _Expect.SIZE
        else:
            self._on_trailer(line[:-2])

    def _on_size(self, line: bytes) -> None:
        match = _SIZE_LINE.match(line)
        if match is None:
            raise BadRequestError("malformed chunk size")
        self._extensions += len(match[2])
        if self._extensions > MAX_CHUNK_EXTENSION_BYTES:
            raise BadRequestError("too many chunk extensions")
        self._left = int(match[1], 16)
        if self._left >= 2**63:
            raise BadRequestError("malformed chunk size")
        self._expect = _Expect.DATA if self._left else _Expect.TRAILER

    def _on_trailer(self, line: bytes) -> None:
        if not line:
            self._expect = _Expect.NOTHING
            return
        self._trailer_bytes += len(line)
        self._fields += 1
        if self._trailer_bytes > MAX_TRAILER_BYTES or self._fields > MAX_TRAILER_FIELDS:
            raise HeadTooLargeError("trailers too large")
        field, colon, rest = line.partition(b":")
        if not (colon and _is_token(field) and _is_value(rest)):
            raise BadRequestError("malformed trailer")
        name = field.decode("ascii").lower()
        if name in _FORBIDDEN_TRAILERS:
            raise BadRequestError("framing field in the trailers")
        if name in KEPT_TRAILERS:
            value = rest.strip(b" \t").decode("latin-1")
            before = self.trailers.get(name)
            # A field that comes twice becomes one that no parser accepts: nobody guesses.
            self.trailers[name] = value if before is None else f"{before}, {value}"
