"""Resumable Uploads for HTTP, one upload beside its content (I15 to I18, I27 to I35), in every
draft.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01 where nothing else is said.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.conformance.append import begin_append, end_of
from tests.resumption import Draft, Resumption, every_draft
from tests.wire import OCTETS

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

UNKNOWN = "/files/0123456789abcdef0123456789abcdef"
DRAFTS = [Draft(number) for number in range(3, 11)]


@pytest.mark.parametrize("length", [None, 20])
def test_a_look_tells_how_far_it_is(up: Resumption, length: int | None) -> None:
    """I15: "MUST include the offset in the Upload-Offset [...] MUST include the Upload-Complete
    [...] MUST include the length [...] unless the client has not supplied one [...] MUST indicate
    the limits [...] and SHOULD include the Cache-Control header field with the value no-store".
    """
    upload = up.create_holding(b"hello", length)
    answer = up.head(upload)
    assert (answer.status, up.draft.says(answer)) == (204, False)
    assert answer["Upload-Offset"] == "5"
    assert answer.get("Upload-Length") == (None if length is None else "20")
    assert answer.get("Upload-Limit") == ("min-size=0" if up.draft.has_limits else None)
    assert answer["Cache-Control"] == "no-store"
    assert "Tus-Resumable" not in answer


def test_a_look_at_a_complete_upload_says_that_it_is(up: Resumption) -> None:
    """I15: "indicating whether a final response was produced"."""
    answer = up.head(up.finish(b"hello"))
    assert (answer.status, up.draft.says(answer)) == (204, True)
    assert answer["Upload-Offset"] == answer["Upload-Length"] == "5"


@pytest.mark.parametrize("up", DRAFTS, indirect=True, ids=str)
def test_get_is_a_look_and_serves_none_of_the_bytes(up: Resumption) -> None:
    """I16: "serving response content for a GET request is unexpected"."""
    for upload in (up.create_holding(b"hello", 20), up.finish(b"hello")):
        looked, got = up.head(upload), up.ask("GET", upload)
        assert (got.status, got.body) == (204, b"")
        assert without_date(got.fields) == without_date(looked.fields)


@pytest.mark.parametrize("up", [Draft(0)], indirect=True, ids=str)
def test_get_without_a_version_is_a_download(up: Resumption) -> None:
    """Nothing tells it from one: a finished file is what a plain client wants of this URL."""
    assert up.ask("GET", up.finish(b"hello")).body == b"hello"


def without_date(fields: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [field for field in fields if field[0] != "Date"]


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
def test_no_answer_redirects(up: Resumption, method: str) -> None:
    """I17: "SHOULD NOT generate a response with the 301 (Moved Permanently) and 302 (Found) status
    codes".
    """
    assert up.ask(method, up.create(None)).status == 204
    assert up.ask(method, UNKNOWN).status == 404


@pytest.mark.parametrize("method", ["HEAD", "DELETE"])
@pytest.mark.parametrize("name", ["Upload-Offset", "Upload-Complete"])
def test_fields_of_an_append_in_a_look(up: Resumption, method: str, name: str) -> None:
    """I18: until -05 "The server MUST reject the request with the Upload-Offset header or the
    Upload-Complete header by sending a 400 (Bad Request) response".
    """
    upload = up.create_holding(b"hello", None)
    answer = up.ask(method, upload, {name: "5" if name == "Upload-Offset" else "?1"})
    assert answer.status == (204 if up.draft.late else 400)
    if not up.draft.late:
        up.assert_awaits_end(upload, b"hello")


def test_delete_deactivates_the_upload(up: Resumption) -> None:
    """I27: "Upon receiving a DELETE request, the server SHOULD deactivate the upload resource"."""
    for upload in (up.create_holding(b"hello", 20), up.finish(b"hello")):
        assert up.ask("DELETE", upload).status == 204
        up.assert_gone(upload)
        assert up.append(upload, 5, b"x").status in {404, 410}


def test_delete_ends_what_runs_first(up: Resumption) -> None:
    """I27: "The server SHOULD terminate any in-flight requests to the upload resource before
    sending the response".
    """
    upload = up.create(1000)
    with up.connect() as wire:
        begin_append(up, wire, upload, 1000, b"x" * 400)
        started = time.monotonic()
        assert up.ask("DELETE", upload).status == 204
        assert time.monotonic() - started < 5.0
        wire.send_pieces([b"y" * 600])
        assert end_of(wire) in {0, 404, 410, 423}
    up.assert_gone(upload)


@pytest.mark.parametrize("target", ["/files/", "*"])
def test_options_tells_the_limits(up: Resumption, target: str) -> None:
    """I28: "the server MUST include the Upload-Limit header field [...] If the server does not
    apply any limits, it MUST use min-size=0 instead of an empty header value".
    """
    answer = up.ask("OPTIONS", target)
    assert answer.status in {200, 204}
    assert answer.interim == ()
    assert answer.get("Upload-Limit") == ("min-size=0" if up.draft.has_limits else None)


def test_a_page_may_ask_and_use_the_protocol(up: Resumption) -> None:
    """A browser's preflight names no version: whoever asks is told of every method and field."""
    asked = {
        "Origin": "https://page.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "upload-complete, upload-draft-interop-version",
        "Upload-Draft-Interop-Version": None,
    }
    answer = up.ask("OPTIONS", "/files/", asked)
    assert answer.status in {200, 204}
    assert "PUT" in answer["Access-Control-Allow-Methods"]
    allowed = answer["Access-Control-Allow-Headers"].lower()
    exposed = up.start(b"x", {"Origin": "https://page.example"})
    shown = exposed["Access-Control-Expose-Headers"].lower()
    for name in (*up.draft.ends(complete=True), "Upload-Offset", "Upload-Length"):
        assert allowed == "*" or name.lower() in allowed
        assert name.lower() in shown


def test_an_upload_that_lost_its_bytes_is_no_more(up: Resumption) -> None:
    """I30: "the offset MUST NOT decrease. If the server loses any part of the state, it MUST
    deactivate the upload resource and reject further interaction with it".
    """
    upload = up.create_holding(b"hello", 20)
    up.data_file(upload).unlink()
    for answer in (up.head(upload), up.append(upload, 0, b"x"), up.append(upload, 5, b"x")):
        assert answer.status in {404, 410}
        assert "Upload-Offset" not in answer


def test_uploads_have_names_that_nobody_can_guess(up: Resumption) -> None:
    """I31: "An upload resource SHOULD be unique" and hard to guess: 128 random bits."""
    names = {up.create(None).rsplit("/", 1)[1] for _ in range(5)}
    assert len(names) == 5
    assert all(len(name) >= 22 for name in names)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_other_methods_are_refused_by_an_upload(up: Resumption, method: str) -> None:
    """I34: 405 with Allow (RFC 9110 section 15.5.6)."""
    upload = up.create_holding(b"hello", 20)
    answer = up.ask(method, upload, up.draft.ends(complete=True), b"x")
    assert answer.status == 405
    assert {"HEAD", "PATCH", "DELETE"} <= set(answer["Allow"].replace(" ", "").split(","))
    up.assert_awaits_end(upload, b"hello")


@every_draft
def test_a_request_of_both_protocols_is_of_the_one_that_it_names_a_version_of(
    tus: Endpoint, draft: Draft
) -> None:
    """I35: decided once; a known interop version wins, as in tusd."""
    up = Resumption(tus.server, draft=draft)
    both = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Content-Type": OCTETS}
    answer = up.start(b"hello", both)
    assert answer.status == 201
    assert answer.interim == ((104,) if draft.number else ())
    assert ("Tus-Resumable" in answer) is not bool(draft.number)
    assert up.stored(up.path_of(answer)) == b"hello"


@every_draft
def test_a_part_by_tus_is_one_although_the_system_offers_its_own_protocol(
    tus: Endpoint, draft: Draft
) -> None:
    """As TUSKit sends it by an upload task of iOS, which names a version on its own account."""
    upload = tus.create(11)
    answer = tus.append(
        upload,
        0,
        b"hello world",
        {**draft.fields, "Tus-Resumable": "1.0.0", **draft.ends(complete=True)},
    )
    assert answer.status == 204, answer
    assert tus.stored(upload) == b"hello world"
