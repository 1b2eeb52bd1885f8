"""The chunked coding (RFC 9112 section 7.1): content, bounds and breaks, however it is cut."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import BadRequestError, HeadTooLargeError, WireError
from fileloft_fast.http1.chunked import ChunkedReader


def read(data: bytes, cuts: list[int]) -> tuple[bytes, bytes, ChunkedReader]:
    """Feed *data* cut at *cuts*; return content, what follows the body, and the reader."""
    reader = ChunkedReader()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    content, rest = b"", b""
    for start, end in itertools.pairwise(edges):
        if reader.ended:
            rest += data[start:end]
            continue
        pieces, rest = reader.feed(data[start:end])
        content += b"".join(pieces)
    return content, rest, reader


def coded(pieces: list[bytes], trailers: bytes = b"") -> bytes:
    """Return the chunked form of *pieces*."""
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + trailers + b"\r\n"


cuts = st.lists(st.integers(0, 1 << 16), max_size=12)


@given(st.lists(st.binary(max_size=300), max_size=8), st.binary(max_size=40), cuts)
def test_content_and_what_follows_do_not_depend_on_how_the_network_cuts(
    pieces: list[bytes], after: bytes, where: list[int]
) -> None:
    content, rest, reader = read(coded(pieces) + after, where)
    assert reader.ended
    assert content == b"".join(pieces)
    assert rest == after


@given(st.binary(max_size=200), cuts)
def test_any_bytes_are_content_or_a_wire_error(data: bytes, where: list[int]) -> None:
    with suppress(BadRequestError, HeadTooLargeError):
        read(data, where)


@given(cuts)
def test_a_trailer_is_kept_only_where_it_means_something(where: list[int]) -> None:
    trailers = b"Host: evil\r\nUpload-Checksum: sha1 AAAA\r\nX-A: b\r\n"
    _, _, reader = read(coded([b"hello"], trailers), where)
    assert reader.trailers == {"upload-checksum": "sha1 AAAA"}


def test_a_trailer_that_comes_twice_becomes_one_that_no_parser_takes() -> None:
    _, _, reader = read(coded([b"x"], b"Upload-Checksum: a b\r\nupload-checksum: a b\r\n"), [])
    assert reader.trailers == {"upload-checksum": "a b, a b"}


@pytest.mark.parametrize(
    "data",
    [
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello",
        b"5 \r\nhello",
        b" 5\r\nhello",
        b"\r\nhello",
        b"5;\r\nhello",
        b"5\nhello\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhellooo",
        b"00000000000000005\r\nhello",
        b"8000000000000000\r\n",
        b"5;a=\x00\r\nhello",
        b"5;" + b"a" * 5000,
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
    ],
)
def test_what_two_readers_could_take_two_ways_is_refused(data: bytes) -> None:
    for where in ([], list(range(len(data)))):
        with pytest.raises(WireError):
            read(data, where)


@pytest.mark.parametrize("line", [b"5;a", b"5;a=b", b'5;a="b c";d', b"0005"])
def test_a_short_extension_is_ignored(line: bytes) -> None:
    assert read(line + b"\r\nhello\r\n0\r\n\r\n", [])[0] == b"hello"


@pytest.mark.parametrize(
    "trailer",
    [
        b"X:" + b" " * 1000 + b"\x01",
        b"X:" + b" \t" * 500 + b"\x01",
        b"X:" + b" a" * 500 + b"\x01",
        b"X" * 1000 + b"\x01:",
    ],
    ids=["spaces", "tabs", "words", "name"],
)
def test_a_malformed_trailer_is_refused_in_no_time(trailer: bytes) -> None:
    began = time.thread_time()
    with pytest.raises(BadRequestError):
        read(b"0\r\n" + trailer + b"\r\n\r\n", [])
    assert time.thread_time() - began < 0.5  # a millisecond; seconds where it is quadratic


def test_white_space_around_a_trailer_is_no_part_of_it() -> None:
    began = time.thread_time()
    trailer = b"Upload-Checksum: \t" + b" " * 900 + b"sha1 AA \tBB" + b" " * 50 + b"\r\n"
    _, _, reader = read(coded([b"x"], trailer), [])
    assert reader.trailers == {"upload-checksum": "sha1 AA \tBB"}
    assert time.thread_time() - began < 0.5
