"""multipart/form-data as a stream (RFC 7578, RFC 2046): bytes in, parts out, however they are cut.

What ends a part is its first line that begins with the boundary, whatever else is on that line (RFC
2046, section 5.1.1). So nobody else finds the end of a file at another place than this reader does,
and it may be looked for without it: see ``FormReader.release``.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from fileloft_fast.errors import FormError
from fileloft_fast.storages.disposition import Part, parse_part

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FIELD_BYTES: Final = 64 * 1024
"""Names and values of all fields together."""

MAX_PART_HEAD_BYTES: Final = 8 * 1024
MAX_PARTS: Final = 100

_PADDING: Final = re.compile(rb"[ \t]*")


class Field(Struct, frozen=True):
    """A part that is no file, whole."""

    name: str
    value: str


class FileStart(Struct, frozen=True):
    """A file begins: what its sender calls it, "" where it says nothing; its bytes come next."""

    name: str
    filename: str
    content_type: str


class End(Enum):
    """Of the file that came last, or of the form; what comes after it is ignored."""

    FILE = auto()
    FORM = auto()


FormEvent: TypeAlias = Field | FileStart | bytes | End
"""``bytes`` are the file's, never empty."""


class _Expect(Enum):
    BOUNDARY = auto()
    LINE_END = auto()
    HEAD = auto()
    CONTENT_START = auto()
    CONTENT = auto()
    NOTHING = auto()


class FormReader:
    """Turns the bytes of one form into events. Holds no more than the limits above say.

    A part is a file where it has a file name, or is called "file", which is what S3 and Serverpod
    call theirs. How many files there are, and of what size, is not its concern.
    """

    def __init__(self, boundary: bytes) -> None:
        self.delimiter: Final = b"\r\n--" + boundary
        """What ends the file, wherever it stands in it."""
        # The first boundary may begin the body: as if a line had ended before.
        self._rest = b"\r\n"
        self._at = 0
        self._expect = _Expect.BOUNDARY
        self._part = Part("", None, "")
        self._value = bytearray()
        self._field_bytes = 0
        self._parts = 0
        self._steps: Final[dict[_Expect, Callable[[list[FormEvent]], bool]]] = {
            _Expect.BOUNDARY: self._read_boundary,
            _Expect.LINE_END: self._read_line_end,
            _Expect.HEAD: self._read_head,
            _Expect.CONTENT_START: self._read_content_start,
            _Expect.CONTENT: self._read_content,
            _Expect.NOTHING: self._read_nothing,
        }

    @property
    def ended(self) -> bool:
        """Whether the last boundary has been read."""
        return self._expect is _Expect.NOTHING

    @property
    def within_file(self) -> bool:
        """Whether what comes next are bytes of a file, or its end."""
        return self._expect is _Expect.CONTENT and self._part.is_file

    def feed(self, data: bytes) -> list[FormEvent]:
        """Return what *data* completes. Raises FormError."""
        self._rest = self._rest[self._at :] + data
        self._at = 0
        events: list[FormEvent] = []
        while self._steps[self._expect](events):
            pass
        return events

    def finish(self) -> None:
        """Say that nothing more comes. Raises FormError where that is too early."""
        if not self.ended:
            raise FormError("the form ends before its last boundary")

    def release(self) -> bytes:
        """Return the bytes that were held back, as they may begin the delimiter: ``within_file``.

        To be called by who looks for the end of the file without this reader, which is fed again
        from the ``delimiter`` on.
        """
        assert self.within_file
        held = self._rest[self._at :]
        self._rest, self._at = b"", 0
        return held

    # Each step returns whether there is another one to be made with what is there.

    def _read_boundary(self, _events: list[FormEvent]) -> bool:
        # What stands before the first boundary is ignored, but not for ever.
        found = self._rest.find(self.delimiter)
        earliest = len(self._rest) - len(self.delimiter) + 1 if found < 0 else found
        if earliest > MAX_PART_HEAD_BYTES:
            raise FormError("the form does not begin with its boundary")
        return found >= 0 and self._pass_delimiter(found + len(self.delimiter))

    def _pass_delimiter(self, end: int) -> bool:
        self._at = end
        self._expect = _Expect.LINE_END
        return True

    def _read_line_end(self, events: list[FormEvent]) -> bool:
        rest, at = self._rest, self._at
        if len(rest) < at + 2:
            return False
        if rest.startswith(b"--", at):
            events.append(End.FORM)
            self._expect = _Expect.NOTHING
            return True
        padded = _PADDING.match(rest, at)
        assert padded is not None
        at = padded.end()
        if at - self._at > MAX_PART_HEAD_BYTES:
            raise FormError("a boundary is followed by too many blanks")
        if len(rest) < at + 2:
            return False
        if not rest.startswith(b"\r\n", at):
            raise FormError("a line begins with the boundary and goes on")
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FormError("the form has too many parts")
        self._at = at
        self._expect = _Expect.HEAD
        return True

    def _read_head(self, events: list[FormEvent]) -> bool:
        end = self._rest.find(b"\r\n\r\n", self._at)
        earliest = len(self._rest) - 3 if end < 0 else end
        if earliest - self._at > MAX_PART_HEAD_BYTES:
            raise FormError("the head of a part is too large")
        if end < 0:
            return False
        part = self._part = parse_part(self._rest[self._at + 2 : end])
        if part.is_file:
            events.append(FileStart(part.name, part.filename or "", part.content_type))
        else:
            self._value.clear()
            self._count(len(part.name.encode()))
        self._at = end + 4
        self._expect = _Expect.CONTENT_START
        return True

    def _read_content_start(self, events: list[FormEvent]) -> bool:
        # A part without content may lack the line end before its boundary (RFC 2046, 5.1.1).
        dashed = self.delimiter[2:]
        if self._rest.startswith(dashed, self._at):
            return self._end_part(self._at + len(dashed), events)
        if dashed.startswith(self._rest[self._at :]):
            return False
        self._expect = _Expect.CONTENT
        return True

    def _read_content(self, events: list[FormEvent]) -> bool:
        rest, at = self._rest, self._at
        found = rest.find(self.delimiter, at)
        end = self._safe_end() if found < 0 else found
        if at < end:
            self._take(rest[at:end], events)
            self._at = end
        return found >= 0 and self._end_part(found + len(self.delimiter), events)

    def _safe_end(self) -> int:
        """Return where the bytes end that cannot be of a delimiter, which has one CR."""
        rest = self._rest
        begin = rest.rfind(b"\r", max(self._at, len(rest) - len(self.delimiter) + 1))
        return begin if begin >= 0 and self.delimiter.startswith(rest[begin:]) else len(rest)

    def _take(self, content: bytes, events: list[FormEvent]) -> None:
        if self._part.is_file:
            events.append(content)
        else:
            self._count(len(content))
            self._value += content

    def _count(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > MAX_FIELD_BYTES:
            raise FormError("the fields of the form are too large")

    def _end_part(self, end: int, events: list[FormEvent]) -> bool:
        if self._part.is_file:
            events.append(End.FILE)
        else:
            try:
                events.append(Field(self._part.name, self._value.decode()))
            except UnicodeDecodeError as error:
                raise FormError("a field of the form is not UTF-8") from error
        return self._pass_delimiter(end)

    def _read_nothing(self, _events: list[FormEvent]) -> bool:
        self._at = len(self._rest)
        return False
