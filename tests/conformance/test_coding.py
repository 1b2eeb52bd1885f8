"""Content-Encoding of upload bytes: zstd, whose offsets count what was decoded."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import zstandard

from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

ZSTD = {"Content-Encoding": "zstd", "Content-Type": OCTETS, "Upload-Offset": "0"}
CONTENT = b"".join(b"line %d of a text that shrinks\n" % number for number in range(40_000))


def packed(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("content", [b"hello", CONTENT], ids=["small", "large"])
def test_a_zstd_body_is_stored_decoded(tus: Endpoint, content: bytes, *, chunked: bool) -> None:
    upload = tus.create(len(content) + 3)
    body = packed(content)
    framing = CHUNKED if chunked else {}
    sent = render_chunks([body[:3], body[3:]]) if chunked else body
    answer = tus.ask("PATCH", upload, {**ZSTD, **framing}, sent)
    assert (answer.status, answer["Upload-Offset"]) == (204, str(len(content)))
    tus.assert_holds(upload, content)
    assert tus.append(upload, len(content), b"end").status == 204
    tus.assert_holds(upload, content + b"end")


def test_a_zstd_creation_with_upload(tus: Endpoint) -> None:
    fields = {"Upload-Length": str(len(CONTENT)), "Content-Type": OCTETS}
    answer = tus.post({**fields, "Content-Encoding": "zstd"}, packed(CONTENT))
    assert (answer.status, answer["Upload-Offset"]) == (201, str(len(CONTENT)))
    tus.assert_holds(tus.path_of(answer), CONTENT)


def test_a_bomb_is_cut_at_the_length(tus: Endpoint) -> None:
    upload = tus.create(1000)
    peak = tus.server.memory()
    answer = tus.ask("PATCH", upload, ZSTD, packed(b"\0" * 500_000_000))
    assert answer.status == 413
    content = tus.stored(upload)
    assert content == b"\0" * len(content)
    assert len(content) <= 1000
    tus.assert_holds(upload, content)
    assert tus.server.memory() < peak + 64_000_000


@pytest.mark.parametrize(
    "body",
    [b"not zstd at all", packed(b"hello")[:-2], b"", packed(b"hello") + b"rest"],
    ids=["garbage", "cut", "empty", "trailing"],
)
def test_a_body_that_is_not_zstd_is_refused(tus: Endpoint, body: bytes) -> None:
    """What was decoded before the break may be kept; the rest never is."""
    upload = tus.create(10)
    answer = tus.ask("PATCH", upload, ZSTD, body)
    assert answer.status in ({400, 415} if body else {204, 400, 415})
    content = tus.stored(upload)
    assert b"hello".startswith(content)
    tus.assert_holds(upload, content)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd, gzip", "zstd,zstd", "deflate", "x"])
def test_another_coding_is_415(tus: Endpoint, coding: str) -> None:
    upload = tus.create(10)
    answer = tus.ask("PATCH", upload, {**ZSTD, "Content-Encoding": coding}, b"hello")
    assert answer.status == 415
    tus.assert_holds(upload, b"")


@pytest.mark.parametrize("coding", ["identity", "Identity"])
def test_identity_is_no_coding(tus: Endpoint, coding: str) -> None:
    upload = tus.create(10)
    answer = tus.ask("PATCH", upload, {**ZSTD, "Content-Encoding": coding}, b"hello")
    assert answer.status == 204
    tus.assert_holds(upload, b"hello")


def test_a_cut_zstd_body_keeps_what_was_decoded(tus: Endpoint) -> None:
    upload = tus.create(len(CONTENT))
    body = packed(CONTENT)
    fields = {**ZSTD, "Content-Length": str(len(body))}
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, fields) + body[: len(body) - 100])
        eventually(lambda: tus.offset(upload) > 0)
    offset = eventually(lambda: tus.offset(upload))
    tus.assert_holds(upload, CONTENT[:offset])
    rest = {**ZSTD, "Upload-Offset": str(offset)}
    assert tus.ask("PATCH", upload, rest, packed(CONTENT[offset:])).status == 204
    tus.assert_holds(upload, CONTENT)


def test_a_checksum_is_of_the_body_as_the_client_hashed_it(tus: Endpoint) -> None:
    """A digest of the decoded bytes, as offsets are; a wrong one keeps nothing."""
    upload = tus.create(len(CONTENT))
    right = {**ZSTD, "Upload-Checksum": checksum("sha1", CONTENT)}
    wrong = {**ZSTD, "Upload-Checksum": checksum("sha1", CONTENT[1:])}
    assert tus.ask("PATCH", upload, wrong, packed(CONTENT)).status == 460
    tus.assert_holds(upload, b"")
    assert tus.ask("PATCH", upload, right, packed(CONTENT)).status == 204
    tus.assert_holds(upload, CONTENT)


def test_bodies_that_are_decoded_are_bounded_in_number(tus: Endpoint) -> None:
    """Each one holds a window of up to 8 MiB for as long as its client likes."""
    uploads = [tus.create(len(CONTENT)) for _ in range(32)]
    late = tus.create(len(CONTENT))
    body = packed(CONTENT)
    fields = {**ZSTD, "Content-Length": str(len(body))}
    with ExitStack() as stack:
        for upload in uploads:
            wire = stack.enter_context(tus.connect())
            wire.send(render_request("PATCH", upload, fields) + body[:-100])
        for upload in uploads:
            eventually(lambda name=upload: tus.stored(name))  # type: ignore[misc]
        answer = tus.ask("PATCH", late, ZSTD, body)
        assert answer.status == 503
        assert int(answer["Retry-After"]) > 0
    eventually(lambda: tus.ask("PATCH", late, ZSTD, body).status == 204)
    tus.assert_holds(late, CONTENT)
