"""Compressed objects on their way out, decoded in steps of bounded size."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import zstandard

from fileloft_fast.errors import StoreError

_SLICE_BYTES: Final = 128
"""Input decoded in one go: what compresses well may become thousands of times as much."""

_STEP_BYTES: Final = 1024 * 1024
"""Output after which a step ends."""


class _Frames:
    """A decoder of frames that follow one another."""

    def __init__(self) -> None:
        self._source = zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take one more piece; the one before was used up."""
        self._input, self._at = data, 0

    def step(self) -> bytes:
        """Return some content, b"" when the input is used up. Blocks; releases the GIL."""
        parts: list[bytes] = []
        size = 0
        while self._at < len(self._input) and size < _STEP_BYTES:
            piece = self._input[self._at : self._at + _SLICE_BYTES]
            self._at += len(piece)
            if self._frame is None:
                self._frame = self._source.decompressobj()
            part = self._frame.decompress(piece)
            if self._frame.eof:
                self._at -= len(self._frame.unused_data)
                self._frame = None
            parts.append(part)
            size += len(part)
        return b"".join(parts)


async def inflated(
    source: AsyncGenerator[bytes, None], start: int, length: int
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes ``[start, start + length)`` of what *source* decodes to; closes *source*.

    What lies before them is decoded and thrown away. Raises StoreError where it is not zstd.
    """
    frames = _Frames()
    loop = asyncio.get_running_loop()
    end = start + length
    at = 0
    async with contextlib.aclosing(source):
        async for data in source:
            frames.feed(data)
            while content := await loop.run_in_executor(None, _step, frames):
                piece = content[max(0, start - at) : end - at]
                at += len(content)
                if piece:
                    yield piece
                if at >= end:
                    return


def _step(frames: _Frames) -> bytes:
    try:
        return frames.step()
    except zstandard.ZstdError as error:
        raise StoreError("the object cannot be decoded") from error
