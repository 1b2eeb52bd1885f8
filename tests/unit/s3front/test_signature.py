"""Signatures that botocore makes are verified; one that was changed afterwards is refused."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from fileloft_fast.model import RequestHead
from fileloft_fast.s3front.codes import S3Error, SignatureDoesNotMatchError
from fileloft_fast.s3front.signature import Signed, carries_signature, verify
from fileloft_fast.s3front.target import parse_path, parse_query, render_path, render_query
from tests.unit.s3front.signing import ACCESS_KEY, SECRETS, by_header, presigned

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[!-~]([ -~]{0,40}[!-~])?", fullmatch=True)
QUERIES = st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=4, unique_by=lambda x: x[0])
HEADERS = st.dictionaries(st.just("x-amz-meta-").flatmap(lambda p: NAMES.map(p.__add__)), VALUES)
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "POST"])


def url_of(key: str, query: list[tuple[str, str]]) -> str:
    # encoded as botocore does it for S3
    text = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query)
    return f"http://127.0.0.1:8080/bucket/{quote(key, safe='/~')}" + (f"?{text}" if text else "")


def accepted(head: RequestHead, later_s: float = 0.0) -> Signed:
    return verify(head, SECRETS, time.time() + later_s)


@settings(max_examples=30, deadline=None)
@given(METHODS, KEYS, QUERIES, HEADERS)
def test_what_botocore_signs_in_the_header_is_verified(
    method: str, key: str, query: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    signed = accepted(by_header(method, url_of(key, query), headers))
    assert signed.access_key == ACCESS_KEY
    assert signed.parameters == query


@settings(max_examples=30, deadline=None)
@given(METHODS, KEYS, QUERIES, st.integers(1, 7 * 24 * 3600))
def test_what_botocore_presigns_is_verified(
    method: str, key: str, query: list[tuple[str, str]], expires: int
) -> None:
    signed = accepted(presigned(method, url_of(key, query), expires=expires))
    assert signed.payload == "UNSIGNED-PAYLOAD"
    assert signed.parameters == query


@settings(max_examples=30, deadline=None)
@given(METHODS, KEYS, HEADERS, st.data())
def test_no_character_of_a_signed_request_can_be_changed(
    method: str, key: str, headers: dict[str, str], data: st.DataObject
) -> None:
    # among letters, so that the change is one of meaning: a plus and a %20 are one
    changed = st.sampled_from("abcdefXYZ0123456789")
    head = by_header(method, url_of(key, [("a", "b")]), headers)
    where = data.draw(st.sampled_from(["method", "path", "query", *head.headers]))
    text = str(head.headers[where] if where in head.headers else getattr(head, where))
    at = data.draw(st.integers(1 if where == "path" else 0, len(text) - 1))
    # ... and so are %c2 and %C2
    new = data.draw(changed.filter(lambda new: new.lower() != text[at].lower()))
    other = text[:at] + new + text[at + 1 :]
    if where in head.headers:
        forged = structs.replace(head, headers={**head.headers, where: other})
    else:
        forged = structs.replace(head, **{where: other})
    with pytest.raises(S3Error):
        accepted(forged)


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=60),
    st.dictionaries(
        st.sampled_from(
            ["authorization", "x-amz-date", "x-amz-content-sha256", "host", "date", "x-amz-x"]
        ),
        st.one_of(
            st.text(st.characters(max_codepoint=255), max_size=60),
            st.just("20130524T000000Z"),
            st.just("AWS4-HMAC-SHA256 Credential=a/20130524/r/s3/aws4_request,SignedHeaders=host,"),
        ),
    ),
)
def test_whatever_is_sent_is_verified_or_an_error_of_s3(
    query: str, headers: dict[str, str]
) -> None:
    with pytest.raises(S3Error):
        verify(RequestHead("GET", "/b/k", headers, query=quote(query, safe="&=%/-")), SECRETS, 0)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9))))
def test_a_target_is_read_as_it_is_written(key: str, query: list[tuple[str, str]]) -> None:
    path = f"/bucket/{quote(key, safe='/')}"
    pairs = [(name, value) for name, value in query if name or value]
    assert parse_path(path) == ("bucket", key)
    assert render_path(path) == path
    assert sorted(parse_query(render_query(pairs))) == sorted(pairs)


def test_bytes_that_are_no_utf8_keep_their_own_canonical_form() -> None:
    assert render_path("/b/%ff%fe") == "/b/%FF%FE"
    assert render_query(parse_query("a=%ff&b")) == "a=%FF&b="


def test_a_proxy_that_sends_its_own_host_is_made_up_for_by_the_public_name() -> None:
    head = by_header("GET", "http://files.example.org/bucket/key")
    behind = structs.replace(head, headers={**head.headers, "host": "127.0.0.1:9000"})
    with pytest.raises(SignatureDoesNotMatchError):
        accepted(behind)
    assert verify(behind, SECRETS, time.time(), ["files.example.org"]).access_key == ACCESS_KEY


def test_the_time_of_a_header_is_of_now_within_15_minutes() -> None:
    head = by_header("GET", "http://h/bucket/key")
    for late_s in (-890, 890):
        accepted(head, late_s)
    for late_s in (-902, 902):
        with pytest.raises(S3Error, match="too far apart"):
            accepted(head, late_s)


def test_a_presigned_url_lasts_as_long_as_it_says() -> None:
    head = presigned("GET", "http://h/bucket/key", expires=60)
    accepted(head, 55)
    with pytest.raises(S3Error, match="expired"):
        accepted(head, 62)
    with pytest.raises(S3Error, match="not yet valid"):
        accepted(head, -902)


def test_a_signed_request_is_known_by_its_header_or_its_query() -> None:
    assert carries_signature(by_header("GET", "http://h/b/k"))
    assert carries_signature(presigned("GET", "http://h/b/k"))
    assert not carries_signature(RequestHead("GET", "/b/k", {"authorization": "Bearer x"}))


def test_the_key_of_a_chain_is_in_no_text_of_it() -> None:
    chain = accepted(by_header("GET", "http://h/bucket/key")).chain
    assert chain.key.hex() not in repr(chain)
    assert repr(chain.key) not in repr(chain)
