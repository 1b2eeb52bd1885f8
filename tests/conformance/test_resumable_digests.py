"""Resumable Uploads for HTTP with digests of one request's content, and of the whole (RFC 9530).

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01, section "Integrity Digests", which
-12 leaves to RFC 9530.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.endpoint import Endpoint
from tests.resumption import Draft, Resumption, digest_of, read_announcement
from tests.wire import CHUNKED, render_chunks

HALF: Final = b"hello"
REST: Final = b" world"
WHOLE: Final = HALF + REST
LARGE: Final = bytes(range(256)) * 4096
ALGORITHMS: Final = ("sha-256", "sha-512")
SOME: Final = [Draft(3), Draft(8)]
"""The drafts differ in how a refusal looks alone."""

pytestmark = pytest.mark.parametrize("up", SOME, indirect=True, ids=str)


def content(body: bytes, *algorithms: str) -> dict[str, str]:
    return {"Content-Digest": ", ".join(digest_of(body, each) for each in algorithms)}


@pytest.mark.parametrize("algorithms", [("sha-256",), ("sha-512",), ALGORITHMS])
@pytest.mark.parametrize("body", [HALF, LARGE], ids=len)
def test_content_that_is_what_it_says_is_taken(
    up: Resumption, algorithms: tuple[str, ...], body: bytes
) -> None:
    answer = up.start(body, content(body, *algorithms), ends=False)
    assert answer.status == 201
    upload = up.path_of(answer)
    answer = up.append(upload, len(body), body, content(body, *algorithms), ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(upload, body + body)


@pytest.mark.parametrize(("algorithm", "body"), [("sha-256", REST), ("sha-512", LARGE)])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_content_that_is_something_else_is_not_appended(
    up: Resumption, algorithm: str, body: bytes, *, chunked: bool, ends: bool
) -> None:
    """ "If the digests don't match the server SHOULD consider the transfer failed, not append the
    content to the upload resource, and signal the failure to the client".
    """
    upload = up.create_holding(HALF, None)
    sent, framing = (render_chunks([body]), CHUNKED) if chunked else (body, {})
    wrong = content(body + b"!", algorithm)
    answer = up.append(upload, 5, sent, {**framing, **wrong}, ends=ends)
    up.assert_problem(answer, 400)
    assert up.draft.says(answer) is False
    up.assert_awaits_end(upload, HALF)
    right = content(body, algorithm)
    assert up.append(upload, 5, sent, {**framing, **right}, ends=True).status == 201
    up.assert_complete(upload, HALF + body)


def test_a_creation_whose_content_is_something_else_leaves_nothing_wrong(up: Resumption) -> None:
    """Who was told of the upload before that finds it empty; who was not, finds none."""
    before = up.files()
    up.assert_problem(up.start(WHOLE, content(HALF, "sha-256")), 400)
    assert up.files() == before
    fields = {"Content-Length": str(len(WHOLE)), **content(HALF, "sha-256")}
    with up.connect() as wire:
        wire.send(up.render_creation(headers=fields))
        upload = read_announcement(wire, up)
        wire.send(WHOLE)
        up.assert_problem(wire.read(), 400)
    up.assert_awaits_end(upload, b"")
    assert up.append(upload, 0, WHOLE, ends=True).status == 201
    up.assert_complete(upload, WHOLE)


def test_what_was_not_verified_is_never_shown(up: Resumption) -> None:
    """A cut in the middle of content with a digest leaves none of it."""
    upload = up.create_holding(HALF, None)
    with up.connect() as wire:
        fields = {"Content-Length": str(len(LARGE)), **content(LARGE, "sha-256")}
        wire.send(up.render_append(upload, 5, LARGE[:-1], fields))
        assert up.offset(upload) == 5
    up.assert_awaits_end(upload, HALF)


@pytest.mark.parametrize(
    "value", ["md5=:rL0Y20zC+Fzt72VPzMSk2A==:", "x=:AA==:", "unixsum=:AA==:", ""]
)
def test_an_algorithm_that_is_not_known_proves_nothing(up: Resumption, value: str) -> None:
    """RFC 9530 section 2: "a recipient MAY ignore any or all digests"."""
    for name in ("Content-Digest", "Repr-Digest"):
        answer = up.start(WHOLE, {name: value})
        assert (answer.status, up.draft.says(answer)) == (201, True)


@pytest.mark.parametrize(
    "value", ["sha-256=:AAAA:", "sha-256=1", "sha-256", ":AAAA:", "sha-256=AAAA"]
)
def test_a_digest_that_cannot_be_one_is_refused(up: Resumption, value: str) -> None:
    before = up.files()
    for name in ("Content-Digest", "Repr-Digest"):
        answer = up.start(WHOLE, {name: value})
        up.assert_problem(answer, 400)
        assert answer.interim == ()
    assert up.files() == before


def whole(body: bytes, algorithm: str = "sha-256") -> dict[str, str]:
    return {"Repr-Digest": digest_of(body, algorithm)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_whole_that_is_what_it_was_said_to_be_is_complete(
    up: Resumption, algorithm: str, *, chunked: bool
) -> None:
    upload = up.create(None, whole(HALF + LARGE + REST, algorithm), HALF)
    assert up.took(up.append(upload, 5, LARGE))
    sent, framing = (render_chunks([REST]), CHUNKED) if chunked else (REST, {})
    answer = up.append(upload, 5 + len(LARGE), sent, framing, ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    assert digest_of(HALF + LARGE + REST, algorithm) in answer["Repr-Digest"]
    up.assert_complete(upload, HALF + LARGE + REST)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("rest", [b"", REST, LARGE], ids=len)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_whole_that_is_something_else_is_no_upload_any_more(
    up: Resumption, algorithm: str, rest: bytes, *, chunked: bool
) -> None:
    """ "If the digests don't match the server SHOULD treat the transfer as failed"."""
    before = up.files()
    upload = up.create(None, whole(HALF + rest + b"!", algorithm), HALF)
    sent, framing = (render_chunks([rest]), CHUNKED) if chunked else (rest, {})
    up.assert_problem(up.append(upload, 5, sent, framing, ends=True), 400)
    up.assert_gone(upload)
    assert up.files() == before


@pytest.mark.parametrize("body", [b"", WHOLE, LARGE], ids=len)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_creation_of_something_else_than_was_told_leaves_nothing(
    up: Resumption, body: bytes, *, chunked: bool
) -> None:
    before = up.files()
    sent, framing = (render_chunks([body]), CHUNKED) if chunked else (body, {})
    up.assert_problem(up.start(sent, {**framing, **whole(body + b"!")}), 400)
    assert up.files() == before


def test_tus_does_not_complete_what_is_something_else_than_was_told(up: Resumption) -> None:
    upload = up.create(len(WHOLE), whole(WHOLE + b"!"), HALF)
    assert Endpoint(up.server).append(upload, 5, REST).status == 400
    up.assert_gone(upload)
