"""zstd bodies: every byte, bounded steps, and a clear end."""

from __future__ import annotations

import asyncio
import itertools
import random
import struct
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING, cast

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import OverloadedError, UnsupportedCodingError
from fileloft_fast.uploads.decoding import Decoding, ZstdDecoder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fileloft_fast.model import Body

DECODERS = 32
LARGEST_STEP = 8 << 20


def decode(data: bytes, cuts: list[int]) -> bytes:
    decoder = ZstdDecoder()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    content = b""
    for start, end in itertools.pairwise(edges):
        decoder.feed(data[start:end])
        while part := decoder.step():
            content += part
    decoder.finish()
    return content


@given(
    st.lists(st.binary(max_size=5000), max_size=4), st.lists(st.integers(0, 1 << 16), max_size=8)
)
def test_frames_in_a_row_decode_however_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(zstandard.compress(part) for part in parts)
    assert decode(data, cuts) == b"".join(parts)


def test_content_that_does_not_compress_comes_whole() -> None:
    content = random.Random(1).randbytes(3_000_000)
    assert decode(zstandard.compress(content), []) == content


def test_a_bomb_comes_in_steps_of_bounded_size() -> None:
    bomb = zstandard.compress(bytes(1 << 30), 19)
    decoder = ZstdDecoder()
    decoder.feed(bomb)
    assert 0 < len(decoder.step()) <= LARGEST_STEP


def test_the_densest_frame_there_is_comes_in_steps_of_bounded_size() -> None:
    """Four bytes a block of 128 KiB, in a frame with the largest window."""
    block = struct.pack("<I", 1 << 1 | 131_072 << 3)[:3] + b"\0"
    decoder = ZstdDecoder()
    decoder.feed(b"\x28\xb5\x2f\xfd\x00" + bytes([13 << 3]) + block * 400)
    size = 0
    while part := decoder.step():
        assert len(part) <= LARGEST_STEP
        size += len(part)
    assert size == 400 * 131_072


@pytest.mark.parametrize("data", [b"hello", zstandard.compress(b"x" * 1000)[:-3]])
def test_a_body_that_is_no_zstd_or_ends_early_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedCodingError):
        decode(data, [])


def test_a_window_that_would_take_more_memory_than_allowed_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    data = (
        zstandard.ZstdCompressor(compression_params=parameters)
        .compressobj()
        .compress(bytes(1 << 20))
    )
    source = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = source.compress(bytes(1 << 20)) + source.flush()
    with pytest.raises(UnsupportedCodingError):
        decode(data, [])


class Pieces:
    """A body that brings *pieces*."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def begin(decoding: Decoding, *pieces: bytes) -> AsyncGenerator[bytes, None]:
    return decoding.decoded(cast("Body", Pieces(*pieces)))


def test_no_more_bodies_are_decoded_at_once_than_memory_is_meant_for() -> None:
    """A place is free again however a body ends: read to its end, given up, or broken."""
    whole = zstandard.compress(b"hello")

    async def scene() -> None:
        decoding = Decoding()
        async with AsyncExitStack() as stack:
            running = [
                await stack.enter_async_context(aclosing(begin(decoding, whole)))
                for _ in range(DECODERS)
            ]
            for each in running:
                assert await anext(each) == b"hello"
            with pytest.raises(OverloadedError):
                await anext(begin(decoding, whole))
            assert [part async for part in running[0]] == []
            with pytest.raises(UnsupportedCodingError):
                await anext(begin(decoding, b"hello"))
            assert [part async for part in begin(decoding, whole)] == [b"hello"]
        async with AsyncExitStack() as stack:
            for _ in range(DECODERS):
                each = await stack.enter_async_context(aclosing(begin(decoding, whole)))
                assert await anext(each) == b"hello"

    asyncio.run(scene())
