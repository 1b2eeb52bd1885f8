"""What hooks are told of a request: in Go's spelling, and no secret of the query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fileloft_fast.config import HookEvent
from fileloft_fast.hooks.describe import (
    canonical,
    describe,
    describe_request,
    idempotency_key,
    redact,
)
from fileloft_fast.hooks.wire import parse_request, render_request
from fileloft_fast.model import Checksum, Offset, RequestHead, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import parse_info, render_info


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", ""),
        ("a=b&c", "a=b&c"),
        ("grant=x&a=b", "grant=REDACTED&a=b"),
        ("X-Amz-Signature=1", "X-Amz-Signature=REDACTED"),
        ("q=eyJhbGciOiJIUzI1NiJ9", "q=REDACTED"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", "REDACTED"),
        (
            "API_KEY=1&sessionid=2&password=3",
            "API_KEY=REDACTED&sessionid=REDACTED&password=REDACTED",
        ),
        ("=x&&", "=x&&"),
    ],
)
def test_values_that_may_be_secret_are_left_out(query: str, told: str) -> None:
    assert redact(query) == told


@given(st.lists(st.text(alphabet="ab=&%.", max_size=8), max_size=6))
def test_no_pair_is_added_or_lost(pairs: list[str]) -> None:
    query = "&".join(pairs)
    assert redact(query).count("&") == query.count("&")


def test_names_are_spelled_as_go_does() -> None:
    assert canonical("upload-length") == "Upload-Length"
    assert canonical("x-http-method-override") == "X-Http-Method-Override"
    assert canonical("etag") == "Etag"


def test_an_overridden_method_is_the_one_that_counts() -> None:
    head = RequestHead("POST", "/files/a", {"x-http-method-override": "PATCH"})
    assert describe_request(head).method == "PATCH"
    assert describe_request(RequestHead("HEAD", "/files/a", {})).method == "HEAD"


def test_what_the_whole_hashes_to_is_told_where_that_is_known() -> None:
    info = UploadInfo(id=UploadId("u"), offset=Offset(3), length=3)
    hashed = replace(info, digests=(Checksum("sha256", bytes(range(32))),))
    text = render_request(describe(HookEvent.POST_FINISH, None, hashed, lambda _: {}))
    told = f'"Digests":{{"sha256":"{bytes(range(32)).hex()}"}}'
    assert told.encode() in text
    assert render_request(parse_request(text)) == text
    assert b"Digests" not in render_request(
        describe(HookEvent.POST_FINISH, None, info, lambda _: {})
    )


@given(st.floats(0, 4e9))
def test_a_key_is_the_same_from_the_record_as_before_it_was_written(created_at: float) -> None:
    """Else a process that asks whether an event came true takes the upload for another one."""
    info = UploadInfo(id=UploadId("u"), offset=Offset(0), length=5, created_at=created_at)
    read = parse_info(render_info(info), info.id).info
    for event in (HookEvent.POST_CREATE, HookEvent.POST_FINISH, HookEvent.STORED):
        assert idempotency_key(event, read) == idempotency_key(event, info)
