"""The quick reader of heads says what the careful one would, or nothing at all."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import maybe_split_head
from fileloft_fast.http1.head import _split_carefully
from fileloft_fast.http1.limits import MAX_FIELDS, MAX_TARGET_BYTES

POST = (
    b"POST /files/ HTTP/1.1\r\nHost: a:8080\r\nTus-Resumable: 1.0.0\r\nUpload-Length:4096\r\n"
    b"Upload-Metadata: \tfilename c21hbGwuYmlu,\xe4 \r\nX-Empty:\r\n\r\n"
)

tokens = st.text("aZ09!#$%&'*+-.^_`|~", min_size=1, max_size=70)
texts = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
names = st.one_of(
    tokens,
    st.sampled_from(
        ["Host", "host", "Content-Length", "Transfer-Encoding", "Upgrade", "Connection", "Expect"]
    ),
)
values = st.one_of(
    texts, st.sampled_from(["chunked", "upgrade", "close", "h2c", "5", "18446744073709551616"])
)
lines = st.builds(lambda name, value: f"{name}:{value}".encode("latin-1"), names, values)
targets = st.text('/?%*:@"<>[]\\{}|^`~ab#', max_size=9).map(lambda text: b"/" + text.encode())
heads = st.builds(
    lambda method, target, fields: b"\r\n".join(
        [method + b" " + target + b" HTTP/1.1", *fields, b"", b""]
    ),
    st.sampled_from([b"POST", b"PATCH", b"HEAD", b"GET", b"DELETE", b"OPTIONS", b"PUT", b"post"]),
    targets,
    st.lists(lines, max_size=5),
)


def _agrees(data: bytes) -> bool:
    plain = maybe_split_head(data)
    if plain is None:
        return False
    method, target, fields = plain
    assert _split_carefully(data) == (method, target, False, fields, False)
    return True


def test_a_plain_head_is_split() -> None:
    assert maybe_split_head(POST) == (
        "POST",
        "/files/",
        {
            "host": "a:8080",
            "tus-resumable": "1.0.0",
            "upload-length": "4096",
            "upload-metadata": "filename c21hbGwuYmlu,\xe4",
            "x-empty": "",
        },
    )
    assert _agrees(POST)


@given(heads)
def test_the_quick_reader_agrees_with_the_careful_one_on_any_head(data: bytes) -> None:
    _agrees(data)


@given(st.integers(0, len(POST) - 1), st.integers(0, 255))
def test_the_quick_reader_agrees_whatever_byte_is_another(at: int, byte: int) -> None:
    changed = POST[:at] + bytes([byte]) + POST[at + 1 :]
    if changed.endswith(b"\r\n\r\n") and changed.index(b"\r\n\r\n") == len(changed) - 4:
        _agrees(changed)


@given(st.integers(0, len(POST)), st.binary(max_size=4))
def test_what_is_cut_or_goes_on_is_not_plain(at: int, rest: bytes) -> None:
    if at < len(POST):
        assert maybe_split_head(POST[:at]) is None
    if rest:
        assert maybe_split_head(POST + rest) is None


@pytest.mark.parametrize(
    "line",
    [
        b"Host: twice",
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
        b"Content-Length:",
        b"Content-Length: +1",
        b"Content-Length: 1 2",
        b"Content-Length: \xb2",
        b"Content-Length: 1000000000000000000",
        b" folded",
        b"Name : space",
        b"No colon",
        b": no name",
        b"X: bare\rreturn",
        b"X: bare\nfeed",
        b"X: nul\x00",
        b"X: del\x7f",
        b"N" * 65 + b": long",
    ],
)
def test_the_careful_reader_is_asked(line: bytes) -> None:
    assert maybe_split_head(POST[:-2] + line + b"\r\n\r\n") is None


@pytest.mark.parametrize(
    "line",
    [
        b"PUT / HTTP/1.1",
        b"post / HTTP/1.1",
        b"POST /# HTTP/1.1",
        b"POST  / HTTP/1.1",
        b"POST / HTTP/1.1 ",
        b"POST / HTTP/1.0",
        b"POST / HTTP/1.11",
        b"POST /\xe4 HTTP/1.1",
        b"POST * HTTP/1.1",
        b"POST http://a/ HTTP/1.1",
        b"POST /",
        b"POST ",
        b"POST",
        b"",
    ],
)
def test_the_careful_reader_is_asked_about_such_a_request_line(line: bytes) -> None:
    assert maybe_split_head(line + b"\r\nHost: a\r\n\r\n") is None
    assert maybe_split_head(line) is None


def test_what_is_too_much_is_for_the_careful_reader() -> None:
    many = [b"H%d: a\r\n" % number for number in range(MAX_FIELDS + 1)]
    for count, plain in ((MAX_FIELDS, True), (MAX_FIELDS + 1, False)):
        head = b"GET / HTTP/1.1\r\n" + b"".join(many[:count]) + b"\r\n"
        assert (maybe_split_head(head) is not None) == plain
    for length, plain in ((MAX_TARGET_BYTES, True), (MAX_TARGET_BYTES + 1, False)):
        head = b"GET /" + b"a" * (length - 1) + b" HTTP/1.1\r\n\r\n"
        assert (maybe_split_head(head) is not None) == plain


def test_every_byte_of_a_name_and_of_a_value_is_taken_as_by_the_careful_reader() -> None:
    for byte in range(256):
        for line in (b"a%c: b", b"a: b%cc"):
            data = b"GET / HTTP/1.1\r\n" + line % byte + b"\r\n\r\n"
            if not re.search(rb"\r\n\r\n.", data, re.DOTALL):
                _agrees(data)


def test_bytes_alone_are_read() -> None:
    with pytest.raises(TypeError):
        maybe_split_head("GET / HTTP/1.1\r\n\r\n")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        maybe_split_head(None)  # type: ignore[arg-type]
