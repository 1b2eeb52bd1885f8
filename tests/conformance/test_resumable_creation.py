"""Resumable Uploads for HTTP, starting an upload (I01 to I11 and I32), in every draft.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01 where nothing else is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint, metadata
from tests.resumption import FINAL, Draft, Resumption, every_draft, read_announcement
from tests.tokens import GRANT_SECRET
from tests.wire import CHUNKED, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet

BODY = b"hello world"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_content_with_its_end_is_the_upload(up: Resumption, method: str) -> None:
    """I01: "It MUST include Location [...] and MUST include the Upload-Limit"; "all request methods
    that allow content are possible".
    """
    answer = up.start(BODY, method=method)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    assert answer.interim == (104,)
    interim = answer.before[0]
    assert interim.reason == "Upload Resumption Supported"
    assert interim["Location"] == answer["Location"]
    number = str(up.draft.number) if up.draft.number else None
    assert interim.get("Upload-Draft-Interop-Version") == number
    limit = "min-size=0" if up.draft.has_limits else None
    assert interim.get("Upload-Limit") == answer.get("Upload-Limit") == limit
    assert "Upload-Offset" not in interim
    assert up.draft.says(interim) is None
    up.assert_complete(up.path_of(answer), BODY)


def test_the_upload_is_there_as_soon_as_it_is_named(up: Resumption) -> None:
    """I01: "The interim response allows the client to resume the upload even if the message
    exchange gets later interrupted".
    """
    with up.connect() as wire:
        wire.send(up.render_creation(headers={"Content-Length": str(len(BODY))}))
        upload = read_announcement(wire, up)
        up.assert_awaits_end(upload, b"")
        wire.send(BODY)
        assert wire.read().status == 201
    up.assert_complete(upload, BODY)


def test_the_final_answer_names_the_same_upload(up: Resumption) -> None:
    """I05: "All interim and final response messages for the same request MUST contain an identical
    Location value".
    """
    for ends in (True, False):
        with up.connect() as wire:
            fields = {"Content-Length": str(len(BODY))}
            wire.send(up.render_creation(headers=fields, ends=ends))
            upload = read_announcement(wire, up)
            wire.send(BODY)
            answer = wire.read()
            assert (answer.status, answer.interim) == (201, ())
            assert up.path_of(answer) == upload
            assert up.draft.says(answer) is ends
            assert up.stored(upload) == BODY


@pytest.mark.parametrize("up", [Draft(3), Draft(8), FINAL], indirect=True, ids=str)
@pytest.mark.parametrize("number", ["2", "11", "x", "?1", '"8"', "8, 8"])
def test_another_version_is_never_answered_by_104(up: Resumption, number: str) -> None:
    """I02: "MUST NOT send a 104 [...] if the interop version [...] is missing or mismatching"."""
    before = up.files()
    answer = up.start(BODY, {"Upload-Draft-Interop-Version": number})
    assert answer.interim == ()
    assert "Upload-Complete" not in answer
    assert "Upload-Incomplete" not in answer
    # Nothing but tus is left, and that version of it is none (T005).
    assert answer.status == 412
    assert up.files() == before


@every_draft
def test_a_server_of_drafts_takes_a_request_without_a_version_for_tus(
    tus: Endpoint, draft: Draft
) -> None:
    """I02: no 104 without a version; and tus is told apart by its own field (section 2.4)."""
    up = Resumption(tus.server, draft=draft)
    answer = up.start(BODY, {"Upload-Draft-Interop-Version": None})
    assert (answer.status, answer.interim) == (412, ())
    answer = up.start(BODY)
    assert (answer.status, answer.interim) == ((201, (104,)) if draft.number else (412, ()))


@every_draft
def test_switched_off_no_version_is_spoken(fleet: Fleet, draft: Draft) -> None:
    """I02: FILELOFT_RESUMABLE=off."""
    up = Resumption(fleet.endpoint(RESUMABLE="off").server, draft=draft)
    answer = up.start(BODY)
    assert (answer.status, answer.interim) == (412, ())
    assert not up.uploads()


@pytest.mark.parametrize("up", [Draft(3), Draft(8), FINAL], indirect=True, ids=str)
@pytest.mark.parametrize("value", ["1", "true", "", '"?1"', "?1, ?1"])
def test_an_end_field_of_another_type_is_as_if_it_were_not_there(
    up: Resumption, value: str
) -> None:
    """Section 2.2: "Other values MUST cause the entire header field to be ignored"."""
    name = next(iter(up.draft.ends(complete=True)))
    answer = up.start(BODY, {name: value})
    assert (answer.status, answer.interim) == (412, ())


def test_parameters_of_the_fields_are_let_pass(up: Resumption) -> None:
    """RFC 9651: they belong to the item, and have no meaning here."""
    name, value = next(iter(up.draft.ends(complete=True).items()))
    answer = up.start(BODY, {name: f"{value};a=1", "Upload-Length": "11;b"})
    assert (answer.status, answer.interim) == (201, (104,))


@pytest.mark.parametrize("body", [b"", BODY])
def test_content_that_is_not_the_end_makes_an_upload_to_go_on_with(
    up: Resumption, body: bytes
) -> None:
    """I03, I04 and I10: "the server MUST include the Location response header field [...] and MUST
    include the Upload-Limit"; tus-js-client needs Upload-Offset, too.
    """
    answer = up.start(body, {"Upload-Length": "20"}, ends=False)
    assert (answer.status, up.draft.says(answer)) == (201, False)
    assert answer.interim == (104,)
    assert answer["Upload-Offset"] == str(len(body))
    assert answer.get("Upload-Limit") == ("min-size=0" if up.draft.has_limits else None)
    upload = up.path_of(answer)
    assert upload == up.path_of(answer.before[0])
    up.assert_awaits_end(upload, body)


def test_all_of_the_content_is_not_the_end_unless_it_is_said(up: Resumption) -> None:
    """Section 4.1.3: "The offset could match the length, but the upload can still be
    incomplete".
    """
    upload = up.create_filled(BODY, len(BODY))
    up.assert_filled(upload, BODY)
    assert up.append(upload, len(BODY), b"", ends=True).status == 201
    up.assert_complete(upload, BODY)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"Upload-Length": "20"}, True),
        ({"Upload-Length": "5"}, True),
        ({"Upload-Length": "5"}, False),
    ],
)
def test_lengths_that_do_not_agree_are_refused(
    up: Resumption, fields: dict[str, str], *, ends: bool
) -> None:
    """I06: "If indicators (1) and (2) are both present in the same request, their indicated lengths
    MUST match".
    """
    before = up.files()
    answer = up.start(BODY, fields, ends=ends)
    up.assert_problem(answer, 400, "inconsistent-upload-length" if up.draft.late else "")
    assert answer.interim == ()
    assert up.draft.says(answer) is False
    assert up.files() == before


@pytest.mark.parametrize("framing", [{"Content-Length": "0"}, CHUNKED, {"Upload-Length": "0"}])
def test_no_content_with_its_end_is_an_empty_representation(
    up: Resumption, framing: dict[str, str]
) -> None:
    """I09: "If the Upload-Complete header field is then set to true, the client intends to upload
    an empty representation".
    """
    chunked = framing == CHUNKED
    request = up.render_creation(headers=framing) + (render_chunks([]) if chunked else b"")
    answer = up.exchange(request)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(up.path_of(answer), b"")


@pytest.mark.parametrize("ends", [True, False])
def test_content_of_unknown_size_is_taken(up: Resumption, *, ends: bool) -> None:
    """Section 4.1.3: "The server might not know the length until the upload is complete"; transfer
    codings are taken off before bytes are counted.
    """
    answer = up.start(render_chunks([BODY[:4], BODY[4:]]), CHUNKED, ends=ends)
    assert (answer.status, up.draft.says(answer)) == (201, ends)
    assert answer["Upload-Offset"] == str(len(BODY))
    upload = up.path_of(answer)
    assert up.head(upload).get("Upload-Length") == (str(len(BODY)) if ends else None)
    if ends:
        up.assert_complete(upload, BODY)
    else:
        up.assert_awaits_end(upload, BODY)


@pytest.mark.parametrize("length", ["10", "12"])
def test_content_of_unknown_size_has_to_end_where_the_length_said(
    up: Resumption, length: str
) -> None:
    """I07 and I25, of a creation; text after -11: "the server MUST, after processing the content",
    compare.
    """
    fields = {"Upload-Length": length, **CHUNKED}
    answer = up.start(render_chunks([BODY[:4], BODY[4:]]), fields)
    up.assert_problem(answer, 400, "inconsistent-upload-length" if up.draft.late else "")
    assert up.draft.says(answer) is False


@pytest.mark.parametrize("chunked", [False, True])
def test_content_that_is_cut_is_kept_and_is_not_the_end(up: Resumption, *, chunked: bool) -> None:
    """I11: "the server SHOULD append as much of the request content as possible [...] In addition,
    the upload resource MUST NOT be considered complete then".
    """
    fields = CHUNKED if chunked else {"Content-Length": "20"}
    with up.connect() as wire:
        wire.send(up.render_creation(headers={"Upload-Length": "20", **fields}))
        upload = read_announcement(wire, up)
        wire.send((b"b\r\n" if chunked else b"") + BODY)
        eventually(lambda: up.data_file(upload).stat().st_size == len(BODY))
    up.assert_awaits_end(upload, BODY)
    answer = up.append(upload, len(BODY), b"123456789", ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(upload, BODY + b"123456789")


def test_content_that_stalls_is_kept_and_can_be_gone_on_with(hasty: Endpoint) -> None:
    """T075 and I11: 503 for the request; its upload was named before."""
    up = Resumption(hasty.server)
    with up.connect() as wire:
        wire.send(up.render_creation(headers={"Content-Length": "20"}))
        upload = read_announcement(wire, up)
        wire.send(BODY)
        answer = wire.read()
    assert (answer.status, up.draft.says(answer)) == (503, False)
    up.assert_awaits_end(upload, BODY)
    assert up.append(upload, len(BODY), b"123456789", ends=True).status == 201
    up.assert_complete(upload, BODY + b"123456789")


def test_all_bytes_without_the_end_of_a_chunked_body_are_no_complete_upload(
    up: Resumption,
) -> None:
    """I11, where the last byte came and the last chunk did not."""
    with up.connect() as wire:
        wire.send(up.render_creation(headers={"Upload-Length": "11", **CHUNKED}))
        upload = read_announcement(wire, up)
        wire.send(b"b\r\n" + BODY)
        eventually(lambda: up.data_file(upload).stat().st_size == len(BODY))
    up.assert_awaits_end(upload, BODY)
    answer = up.append(upload, len(BODY), b"", ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(upload, BODY)


def test_what_is_said_of_the_representation_is_kept(up: Resumption) -> None:
    """Section 4.2.1: "Representation metadata included in the initial request can affect how
    servers act on the uploaded representation data".
    """
    fields = {"Content-Type": "image/png", "Content-Disposition": 'inline; filename="a b.png"'}
    upload = up.finish(BODY, {**fields, "Content-Encoding": "gzip"})
    kept = up.info(upload)["metadata"]
    assert kept == {"filename": "a b.png", "filetype": "image/png", "contentencoding": "gzip"}
    upload = up.create(None, {"Upload-Metadata": metadata(filename="c.txt")})
    assert up.info(upload)["metadata"] == {"filename": "c.txt"}


@every_draft
def test_the_targets_own_refusal_says_that_it_is_the_targets(fleet: Fleet, draft: Draft) -> None:
    """I32: "The Upload-Complete header in the response is set to true since the server is
    uninterested in receiving the full representation": not to be tried again. Until -05 that field
    said that the upload was done, so there is none.
    """
    server = fleet.endpoint(RESUMABLE="on", AUTH="grant", GRANT_SECRET=GRANT_SECRET).server
    up = Resumption(server, draft=draft)
    answer = up.start(BODY)
    up.assert_problem(answer, 401)
    assert answer.interim == ()
    assert "WWW-Authenticate" in answer or "Www-Authenticate" in answer
    assert up.draft.says(answer) is (True if draft.late else None)
    assert not up.uploads()
