"""zstd bodies: every byte, bounded steps, and a clear end."""

from __future__ import annotations

import itertools
import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import UnsupportedCodingError
from fileloft_fast.uploads.decoding import ZstdDecoder


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
    assert 0 < len(decoder.step()) <= 48 << 20


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
