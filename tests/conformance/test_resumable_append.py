"""Resumable Uploads for HTTP, going on with an upload (I07 and I19 to I26), in every draft.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01 where nothing else is said.
"""

from __future__ import annotations

import pytest

from tests.deadline import eventually
from tests.resumption import Draft, Resumption
from tests.wire import CHUNKED, render_chunks

HALF = b"hello"
REST = b" world"
WHOLE = HALF + REST
UNKNOWN = "/files/0123456789abcdef0123456789abcdef"
VOIDING = [Draft(number) for number in (7, 8, 9, 10, 0)]
FORGIVING = [Draft(number) for number in (3, 4, 5, 6)]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("length", [None, 11])
def test_an_append_that_is_not_the_end(
    up: Resumption, length: int | None, *, chunked: bool
) -> None:
    """I19: "the server acknowledges the appended data by sending a 2xx (Successful) response with
    the Upload-Complete header field set to false"; 204 in the examples, 201 until -05.
    """
    upload = up.create_holding(HALF, length)
    body = render_chunks([REST[:1], REST[1:-1]]) if chunked else REST[:-1]
    answer = up.append(upload, 5, body, CHUNKED if chunked else None)
    assert (answer.status, up.draft.says(answer)) == (up.draft.appended, False)
    assert answer["Upload-Offset"] == "10"  # I04
    assert all("Location" not in interim for interim in answer.before)  # I12
    up.assert_awaits_end(upload, WHOLE[:-1])
    answer = up.append(upload, 10, WHOLE[-1:])
    if length is not None and up.draft.length_ends:
        assert (answer.status, up.draft.says(answer)) == (201, True)
        up.assert_complete(upload, WHOLE)
    else:
        assert (answer.status, up.draft.says(answer)) == (up.draft.appended, False)
        up.assert_awaits_end(upload, WHOLE)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("length", [None, 11])
def test_the_last_append_is_answered_as_the_creation_would_have_been(
    up: Resumption, length: int | None, *, chunked: bool
) -> None:
    """I20: "the server SHOULD generate the response that matches what the resource [...] would have
    generated if it had processed the entire representation in the initial request [...] the
    response MUST include the Upload-Complete header field with a true value".
    """
    upload = up.create_holding(HALF, length)
    body = render_chunks([REST[:1], REST[1:]]) if chunked else REST
    answer = up.append(upload, 5, body, CHUNKED if chunked else None, ends=True)
    whole = up.start(WHOLE)
    assert (answer.status, up.draft.says(answer)) == (whole.status, True)
    told = {name for name, _ in answer.fields}
    assert told == {name for name, _ in whole.fields}
    assert answer["Upload-Offset"] == "11"
    assert up.path_of(answer) == upload
    up.assert_complete(upload, WHOLE)


@pytest.mark.parametrize("length", [None, 11])
@pytest.mark.parametrize("chunked", [False, True])
def test_an_append_of_nothing_may_be_the_end(
    up: Resumption, length: int | None, *, chunked: bool
) -> None:
    """I21: "the request has no content. Once the request is processed by the server, the upload is
    complete".
    """
    upload = up.create_filled(WHOLE, length)
    body, framing = (render_chunks([]), CHUNKED) if chunked else (b"", None)
    answer = up.append(upload, 11, body, framing, ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(upload, WHOLE)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("offset", [0, 6, 999_999_999_999_999])
def test_another_offset_is_told_the_right_one(up: Resumption, offset: int, *, ends: bool) -> None:
    """I22: "the server MUST reject the request with a 409 (Conflict) status code and the
    Upload-Complete header field set to false. The response MUST include the correct offset".
    """
    upload = up.create_holding(HALF, None)
    answer = up.append(upload, offset, REST, ends=ends)
    typed = up.draft.late or up.draft.number == 6
    document = up.assert_problem(answer, 409, "mismatching-upload-offset" if typed else "")
    assert (document["expected-offset"], document["provided-offset"]) == (5, offset)
    assert answer["Upload-Offset"] == "5"
    assert up.draft.says(answer) is False
    up.assert_awaits_end(upload, HALF)


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "application/offset+octet-stream", None]
)
def test_an_append_has_a_media_type_of_its_own(up: Resumption, kind: str | None) -> None:
    """I23: 415 and Accept-Patch (RFC 5789 section 2.2) for what is not "a PATCH request with the
    application/partial-upload media type"; until -03 there was no such type.
    """
    upload = up.create_holding(HALF, None)
    answer = up.append(upload, 5, REST, {"Content-Type": kind})
    if up.draft.any_type:
        assert answer.status == up.draft.appended
        return
    up.assert_problem(answer, 415)
    assert answer["Accept-Patch"] == "application/partial-upload"
    assert up.draft.says(answer) is False
    up.assert_awaits_end(upload, HALF)


@pytest.mark.parametrize("value", [None, "-1", "?1", "1000000000000000"])
def test_an_append_tells_its_offset(up: Resumption, value: str | None) -> None:
    """I24: "The client MUST indicate the offset of the request content"; "Other values MUST cause
    the entire header field to be ignored".
    """
    upload = up.create_holding(HALF, None)
    answer = up.append(upload, 5, REST, {"Upload-Offset": value})
    up.assert_problem(answer, 400)
    assert up.draft.says(answer) is False
    up.assert_awaits_end(upload, HALF)


@pytest.mark.parametrize("value", [None, "1"])
def test_an_append_says_whether_it_is_the_end(up: Resumption, value: str | None) -> None:
    """I24: "The request MUST include the Upload-Complete header field"; -01's last append had no
    such field.
    """
    upload = up.create_holding(HALF, 11)
    name = next(iter(up.draft.ends(complete=True)))
    answer = up.append(upload, 5, REST, {name: value})
    if up.draft.number == 3 and value is None:
        assert (answer.status, up.draft.says(answer)) == (201, True)
        return
    up.assert_problem(answer, 400)
    up.assert_awaits_end(upload, HALF)


@pytest.mark.parametrize(
    ("fields", "ends"),
    [({"Upload-Length": "12"}, False), ({"Upload-Length": "12"}, True), ({}, True)],
)
def test_a_length_that_was_told_stays(
    up: Resumption, fields: dict[str, str], *, ends: bool
) -> None:
    """I07: "If multiple requests include indicators, their indicated values MUST match"."""
    upload = up.create_holding(HALF, 11)
    answer = up.append(upload, 5, REST[:-1], fields, ends=ends)
    up.assert_problem(answer, 400, "inconsistent-upload-length" if up.draft.late else "")
    assert up.draft.says(answer) is False
    up.assert_awaits_end(upload, HALF)
    assert up.append(upload, 5, REST, {"Upload-Length": "11"}, ends=True).status == 201
    up.assert_complete(upload, WHOLE)


def test_a_length_may_be_told_late(up: Resumption) -> None:
    """I07: "The server MUST record the length [...] if the Upload-Length or Upload-Complete header
    fields are included in the request".
    """
    upload = up.create_holding(HALF, None)
    assert "Upload-Length" not in up.head(upload)
    contradictory = up.append(upload, 5, REST, {"Upload-Length": "10"})
    up.assert_problem(contradictory, 400, "inconsistent-upload-length" if up.draft.late else "")
    assert up.append(upload, 5, b"", {"Upload-Length": "11"}).status == up.draft.appended
    assert up.head(upload)["Upload-Length"] == "11"
    up.assert_problem(
        up.append(upload, 5, b"", {"Upload-Length": "10"}),
        400,
        "inconsistent-upload-length" if up.draft.late else "",
    )


def test_an_end_that_was_begun_has_told_the_length(up: Resumption) -> None:
    """I07: "The length is then the sum of the current offset and the Content-Length header field
    value", also where that content was cut.
    """
    upload = up.create_holding(HALF, None)
    with up.connect() as wire:
        wire.send(up.render_append(upload, 5, b"", {"Content-Length": "6"}, ends=True))
        wire.send(REST[:3])
        eventually(lambda: up.offset(upload) == 8)
    assert up.head(upload)["Upload-Length"] == "11"
    up.assert_awaits_end(upload, WHOLE[:8])
    answer = up.append(upload, 8, b"too long", ends=True)
    up.assert_problem(answer, 400, "inconsistent-upload-length" if up.draft.late else "")
    answer = up.append(upload, 8, REST[3:], ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(upload, WHOLE)


def test_an_end_before_the_length_is_none(up: Resumption) -> None:
    """Text after -11 (#3463): "the server MUST, after processing the content", see that offset and
    length match; also for content that has no Content-Length.
    """
    upload = up.create_holding(HALF, 11)
    answer = up.append(upload, 5, render_chunks([REST[:3]]), CHUNKED, ends=True)
    up.assert_problem(answer, 400, "inconsistent-upload-length" if up.draft.late else "")
    assert up.draft.says(answer) is False
    up.assert_awaits_end(upload, WHOLE[:8])
    assert up.append(upload, 8, REST[3:], ends=True).status == 201
    up.assert_complete(upload, WHOLE)


def run_past(up: Resumption, upload: str, *, chunked: bool) -> None:
    """Append more than there is room for, and be refused."""
    body = render_chunks([REST, b"!"]) if chunked else REST + b"!"
    answer = up.append(upload, 5, body, CHUNKED if chunked else None)
    up.assert_problem(answer, 400, "inconsistent-upload-length" if up.draft.late else "")
    assert up.draft.says(answer) is False


@pytest.mark.parametrize("up", VOIDING, indirect=True, ids=str)
@pytest.mark.parametrize("chunked", [False, True])
def test_content_past_the_length_ends_the_upload(up: Resumption, *, chunked: bool) -> None:
    """I25: "the server MUST prevent the offset from exceeding the upload length by rejecting the
    request once the offset exceeds the length, marking the upload resource invalid and rejecting
    any further interaction with it. It is not sufficient to rely on the Content-Length".
    """
    upload = up.create_holding(HALF, 11)
    run_past(up, upload, chunked=chunked)
    for answer in (
        up.head(upload),
        up.append(upload, 5, REST, ends=True),
        up.ask("DELETE", upload),
    ):
        assert answer.status in {404, 410}
        assert "Upload-Offset" not in answer
    up.assert_gone(upload)


@pytest.mark.parametrize("up", FORGIVING, indirect=True, ids=str)
@pytest.mark.parametrize("chunked", [False, True])
def test_early_drafts_keep_what_has_room(up: Resumption, *, chunked: bool) -> None:
    """I25: "the server MUST reject" and no more is said until -07."""
    upload = up.create_holding(HALF, 11)
    run_past(up, upload, chunked=chunked)
    offset = up.offset(upload)
    assert 5 <= offset <= 11
    up.assert_awaits_end(upload, WHOLE[:offset])
    assert up.append(upload, offset, WHOLE[offset:], ends=True).status == 201
    up.assert_complete(upload, WHOLE)


def test_nothing_is_added_to_a_complete_upload(up: Resumption) -> None:
    """I26: "After this point, no more representation data can be appended"; -04 to -11 have a
    problem type for that.
    """
    upload = up.finish(WHOLE)
    typed = "completed-upload" if up.draft.number in {6, 7, 8} else ""
    for body, ends in ((b"!", False), (b"!", True), (b"", False)):
        answer = up.append(upload, 11, body, ends=ends)
        up.assert_problem(answer, 400, typed)
        assert up.draft.says(answer) is False
    up.assert_complete(upload, WHOLE)


def test_a_lost_last_answer_may_be_asked_for_again(up: Resumption) -> None:
    """I26: "The server can choose to replay the final response to the client if the request to
    append to the completed upload is valid"; from -04 to -11 a server "MUST reject" it.
    """
    upload = up.create_holding(HALF, 11)
    first = up.append(upload, 5, REST, ends=True)
    again = up.append(upload, 11, b"", ends=True)
    if up.draft.replays:
        same = {"Location", "Upload-Offset", *up.draft.ends(complete=True)}
        assert again.status == first.status
        assert all(again.get(name) == first.get(name) for name in same)
    else:
        up.assert_problem(again, 400, "completed-upload")
    up.assert_complete(upload, WHOLE)


def test_an_unknown_upload_takes_nothing(up: Resumption) -> None:
    answer = up.append(UNKNOWN, 0, WHOLE, ends=True)
    up.assert_problem(answer, 404)
    assert up.draft.says(answer) is False
    assert not up.data_file(UNKNOWN).exists()
