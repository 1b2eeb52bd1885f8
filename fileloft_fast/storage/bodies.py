"""What a call sends: how long it is, and whether it can be sent once more."""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeAlias, cast

PIECE_BYTES: Final = 256 * 1024

Data: TypeAlias = bytes | bytearray | memoryview | BinaryIO | Iterable[bytes]
"""What can be stored: bytes, an open binary file from where it stands, or pieces of bytes."""

AsyncData: TypeAlias = Data | AsyncIterable[bytes]
"""What can be stored by an ``AsyncStorage``: pieces may also come asynchronously."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces that come once."""

    source: Iterable[bytes] | AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class FileBody:
    """A file from *start* on, of *length* bytes; both are None where it cannot be sought."""

    file: BinaryIO
    start: int | None
    length: int | None

    def rewind(self) -> None:
        """Go back to where the file stood. Blocks on disk."""
        if self.start is not None:
            self.file.seek(self.start)

    def read_piece(self) -> bytes:
        """Return the next bytes, b"" at the end. Blocks on disk."""
        return self.file.read(PIECE_BYTES)


Body: TypeAlias = bytes | FileBody | Pieces


def body_of(data: AsyncData) -> Body:
    """Return *data* as a body. Blocks on disk where it is a file."""
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    if isinstance(data, str):  # an iterable, too, but not of bytes
        raise TypeError("an object is bytes: encode the text")
    return _file_body(cast("BinaryIO", data)) if hasattr(data, "read") else Pieces(data)


def resendable(body: Body) -> bool:
    """Return whether *body* can be sent once more."""
    return isinstance(body, bytes) or (isinstance(body, FileBody) and body.start is not None)


def length_of(body: Body) -> int | None:
    """Return how many bytes *body* has, None where that shows only at its end."""
    return len(body) if isinstance(body, bytes) else getattr(body, "length", None)


def _file_body(file: BinaryIO) -> FileBody:
    if not file.seekable():
        return FileBody(file, None, None)
    start = file.tell()
    end = file.seek(0, io.SEEK_END)
    file.seek(start)
    return FileBody(file, start, max(0, end - start))
