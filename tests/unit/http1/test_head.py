"""A request's head: what is read, and that nothing but a WireError ever comes of bad bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import WireError
from fileloft_fast.http1.head import check_partial, parse_head, skip_leading_lines

PATCH = (
    b"PATCH /files/a?x=1 HTTP/1.1\r\nHost: h:8080\r\ntus-resumable: 1.0.0\r\nUPLOAD-OFFSET:\t5 \r\n"
    b"Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
)

lines = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"Host: a",
                b"Content-Length: 5",
                b"Transfer-Encoding: chunked",
                b"Transfer-Encoding: gzip, chunked",
                b"Connection: upgrade",
                b"Upgrade: h2c",
                b"Expect: x",
                b" folded",
            ]
        ),
    ),
    max_size=6,
)


def test_names_are_lower_case_values_are_trimmed_and_the_query_is_left_away() -> None:
    head = parse_head(PATCH)
    assert (head.method, head.path, head.authority) == ("PATCH", "/files/a", "h:8080")
    assert head.headers["tus-resumable"] == "1.0.0"
    assert head.headers["upload-offset"] == "5"
    assert head.content_length == 3
    assert head.expect_continue
    assert head.keep_alive


@given(st.sampled_from([b"GET / HTTP/1.1", b"POST /f HTTP/1.0", b"PATCH * HTTP/1.1"]), lines)
def test_any_head_is_a_request_or_a_wire_error(first: bytes, rest: list[bytes]) -> None:
    data = b"\r\n".join([first, *rest, b"", b""])
    with suppress(WireError):
        head = parse_head(data[: data.index(b"\r\n\r\n") + 4])
        assert head.chunked == (head.content_length is None)


@given(st.integers(0, len(PATCH)), st.integers(0, len(PATCH)))
def test_a_good_head_is_never_refused_half_way(end: int, seen: int) -> None:
    check_partial(PATCH[:end], min(seen, end))


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b"get / HTTP", b"GET / HTTP/1.1\nHost: a", b"P" * 33]
)
def test_what_cannot_become_a_head_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(WireError):
        check_partial(data, 0)


def test_an_absolute_target_names_the_path_and_vouches_for_no_authority() -> None:
    head = parse_head(b"GET http://evil/files/a HTTP/1.1\r\nHost: good\r\n\r\n")
    assert (head.path, head.authority) == ("/files/a", "")


def test_a_repeated_field_is_joined() -> None:
    head = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nx: 2\r\n\r\n")
    assert head.headers["x"] == "1, 2"


def test_few_empty_lines_before_a_request_are_skipped() -> None:
    assert skip_leading_lines(b"\r\n\r\nGET") == b"GET"
    with pytest.raises(WireError):
        skip_leading_lines(b"\r\n\r\n\r\nGET")
