"""The bytes that are sent: random ones, in memory, so that no disk of the client's takes part."""

from __future__ import annotations

import hashlib
import mmap
import os
from typing import TYPE_CHECKING, Final, Self
from zlib import crc32

from fileloft_fast.bench.sizes import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SOURCE_BYTES: Final = 64 * MIB
_TURN_BYTES: Final = MIB


def _crc32(pieces: Iterable[memoryview]) -> bytes:
    value = 0
    for piece in pieces:
        value = crc32(piece, value)
    return value.to_bytes(4, "big")


def _hashed(algorithm: str) -> Callable[[Iterable[memoryview]], bytes]:
    def digest(pieces: Iterable[memoryview]) -> bytes:
        state = hashlib.new(algorithm, usedforsecurity=False)
        for piece in pieces:
            state.update(piece)
        return state.digest()

    return digest


DIGESTS: Final[dict[str, Callable[[Iterable[memoryview]], bytes]]] = {
    **{name: _hashed(name) for name in ("sha1", "sha256", "sha512", "sha384", "md5")},
    "crc32": _crc32,
}
"""The checksums that can be sent, the first that the server has too is taken: sha1 is tus's own."""


class Source:
    """A file in memory that bodies are taken from: byte *p* of one is byte *p* modulo its size."""

    def __init__(self, size: int = SOURCE_BYTES) -> None:
        self.size = size
        self.fd = os.memfd_create("fileloft-fast-bench", os.MFD_CLOEXEC)
        self._map: mmap.mmap | None = None
        try:
            os.ftruncate(self.fd, size)
            self._map = mmap.mmap(self.fd, size)
            for at in range(0, size, _TURN_BYTES):
                self._map[at : at + _TURN_BYTES] = os.urandom(min(_TURN_BYTES, size - at))
        except BaseException:
            self.close()
            raise
        self._digests: dict[tuple[str, int, int], bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the memory back."""
        if self._map is not None:
            self._map.close()
        os.close(self.fd)

    def read(self, start: int, length: int) -> bytes:
        """Return *length* bytes of a body from its byte *start*."""
        return b"".join(map(bytes, self._pieces(start, length)))

    def digest(self, algorithm: str, start: int, length: int) -> bytes:
        """Return the checksum of a part of a body; what was asked before is kept."""
        key = (algorithm, start % self.size, length)
        digest = self._digests.get(key)
        if digest is None:
            digest = self._digests[key] = DIGESTS[algorithm](self._pieces(start, length))
        return digest

    def _pieces(self, start: int, length: int) -> Iterator[memoryview]:
        assert self._map is not None
        with memoryview(self._map) as view:
            while length:
                at = start % self.size
                taken = min(length, self.size - at, _TURN_BYTES)
                with view[at : at + taken] as piece:
                    yield piece
                start += taken
                length -= taken
