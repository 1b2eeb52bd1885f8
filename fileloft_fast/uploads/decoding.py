"""Bodies in ``Content-Encoding: zstd``, decoded in steps of bounded size (RFC 8878, RFC 9659)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import zstandard

from fileloft_fast.errors import OverloadedError, UnsupportedCodingError

if TYPE_CHECKING:
    from fileloft_fast.model import Body

_WINDOW_BYTES: Final = 8 * 1024 * 1024
"""The window that RFC 9659 allows; larger ones are refused before memory is taken."""

_SLICE_BYTES: Final = 128
"""Input decoded in one go: three bytes may stand for 128 KiB, so a slice makes 5.5 MiB at most."""

_STEP_BYTES: Final = 1024 * 1024
"""Output after which a step ends, so that it can be stored before there is more."""

_DECODERS: Final = 32
"""Decoders at once: each may hold a window and a step's output, 14 MiB at worst."""


class ZstdDecoder:
    """Turns compressed pieces into content; frames may follow one another."""

    def __init__(self) -> None:
        self._source = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take one more piece; the one before must have been used up."""
        self._input, self._at = data, 0

    def step(self) -> bytes:
        """Return some content, b"" when the input is used up. Blocks; releases the GIL.

        Raises UnsupportedCodingError where the input is not zstd.
        """
        parts: list[bytes] = []
        size = 0
        while self._at < len(self._input) and size < _STEP_BYTES:
            piece = self._input[self._at : self._at + _SLICE_BYTES]
            self._at += len(piece)
            if self._frame is None:
                self._frame = self._source.decompressobj()
            try:
                part = self._frame.decompress(piece)
            except zstandard.ZstdError as error:
                raise UnsupportedCodingError("the body is not zstd") from error
            if self._frame.eof:
                self._at -= len(self._frame.unused_data)
                self._frame = None
            if part:
                parts.append(part)
                size += len(part)
        return b"".join(parts)

    def finish(self) -> None:
        """Raise UnsupportedCodingError where the body ended within a frame."""
        if self._frame is not None:
            raise UnsupportedCodingError("the body ends within a zstd frame")


class Decoding:
    """Decodes bodies, a bounded number at once."""

    def __init__(self) -> None:
        self._running = 0

    async def decoded(self, body: Body) -> AsyncGenerator[bytes, None]:
        """Yield the content of *body*, little more than a step's worth at a time.

        Raises OverloadedError where too many bodies are being decoded, UnsupportedCodingError where
        the body is not zstd.
        """
        if self._running >= _DECODERS:
            raise OverloadedError("too many compressed bodies at once")
        self._running += 1
        try:
            decoder = ZstdDecoder()
            loop = asyncio.get_running_loop()
            while piece := await body.read():
                decoder.feed(piece)
                while content := await loop.run_in_executor(None, decoder.step):
                    yield content
            decoder.finish()
        finally:
            self._running -= 1
