"""Resumable Uploads for HTTP, what ``Upload-Limit`` says and what happens beyond it (I08, I28,
I33).

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.resumption import EVERY, Draft, Resumption
from tests.wire import CHUNKED, Answer, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet

LIMITS = {
    "MAX_SIZE": "1000",
    "RESUMABLE_MIN_SIZE": "10",
    "RESUMABLE_MAX_APPEND": "500",
    "RESUMABLE_MIN_APPEND": "100",
}
FIXED = "max-size=1000, min-size=10, max-append-size=500, min-append-size=100"
LIFE_S = 3600
LIMITED = [Draft(number) for number in (6, 7, 8, 9, 10, 0)]


@pytest.fixture(params=EVERY, ids=str)
def up(fleet: Fleet, request: pytest.FixtureRequest) -> Resumption:
    """Return a server with every limit that there is."""
    life = {"ENABLE_EXPIRATION": "1", "EXPIRATION_TTL": str(LIFE_S)}
    return Resumption(fleet.endpoint(RESUMABLE="on", **LIMITS, **life).server, draft=request.param)


def life_of(answer: Answer, draft: Draft) -> int:
    """Return the seconds that an upload has left, once the other limits are as they are."""
    name = "expires" if draft.number == 6 else "max-age"
    matched = re.fullmatch(rf"{FIXED}, {name}=(\d+)", answer["Upload-Limit"])
    assert matched, answer
    return int(matched[1])


@pytest.mark.parametrize("up", LIMITED, indirect=True, ids=str)
def test_every_answer_about_an_upload_tells_the_limits(up: Resumption) -> None:
    """I01, I03, I15 and I33: "the end of the upload resource's lifetime as implied by max-age
    SHOULD NOT decrease".
    """
    answer = up.start(b"x" * 100, {"Upload-Length": "300"}, ends=False)
    upload = up.path_of(answer)
    told = [*answer.before, answer, up.append(upload, 100, b"y" * 100), up.head(upload)]
    assert len(told) == 4
    assert all(LIFE_S - 60 <= life_of(each, up.draft) <= LIFE_S for each in told)
    last = up.append(upload, 200, b"z" * 100, ends=True)
    assert up.draft.says(last) is True


@pytest.mark.parametrize("up", LIMITED, indirect=True, ids=str)
def test_options_tells_what_may_be_made(up: Resumption) -> None:
    """I28: "to learn potential limits before creating an upload resource"."""
    assert up.ask("OPTIONS", "/files/")["Upload-Limit"] == FIXED


def test_early_drafts_have_no_such_field(up: Resumption) -> None:
    for answer in (up.start(b"x" * 100), up.ask("OPTIONS", "/files/")):
        assert ("Upload-Limit" in answer) is up.draft.has_limits


def assert_beyond(up: Resumption, answer: Answer, status: int) -> None:
    """Assert that a refusal says what would have been within the limits (I08)."""
    up.assert_problem(answer, status)
    assert answer.interim == ()
    assert up.draft.says(answer) is False
    assert ("Upload-Limit" in answer) is up.draft.has_limits


@pytest.mark.parametrize("ends", [False, True])
def test_a_representation_may_be_too_large(up: Resumption, *, ends: bool) -> None:
    """I08: "A server responding with a 413 (Content Too Large) status code as a result of its
    upload limits SHOULD include the Upload-Limit header field".
    """
    before = up.files()
    told = {"Upload-Length": "1001"}
    assert_beyond(up, up.start(b"", told, ends=False), 413)
    if ends:
        assert_beyond(up, up.start(b"x" * 1001), 413)
    upload = up.create(None)
    assert_beyond(up, up.append(upload, 0, b"x" * 100, told), 413)
    assert up.files() - before == {
        name.name for name in (up.data_file(upload), up.info_file(upload))
    }
    up.assert_awaits_end(upload, b"")


@pytest.mark.parametrize("chunked", [False, True])
def test_one_request_may_bring_too_much(up: Resumption, *, chunked: bool) -> None:
    """``max-append-size``: "The server might reject requests exceeding this limit"."""
    content = b"x" * 501
    body, framing = (render_chunks([content]), CHUNKED) if chunked else (content, {})
    upload = up.create(None)
    answer = up.append(upload, 0, body, framing)
    up.assert_problem(answer, 413)
    assert ("Upload-Limit" in answer) is up.draft.has_limits
    offset = up.offset(upload)
    assert offset <= 500
    up.assert_awaits_end(upload, content[:offset])
    answer = up.start(body, framing, ends=False)
    up.assert_problem(answer, 413)


def test_one_request_may_bring_too_little(up: Resumption) -> None:
    """``min-append-size``: "This limit does not apply to upload creation requests with no content,
    or to requests completing the upload".
    """
    upload = up.create(None)
    assert_beyond(up, up.append(upload, 0, b"x" * 99), 400)
    assert_beyond(up, up.start(b"x" * 99, ends=False), 400)
    assert up.append(upload, 0, b"x" * 100).status == up.draft.appended
    assert up.append(upload, 100, b"y", ends=True).status == 201
    up.assert_complete(upload, b"x" * 100 + b"y")


def test_what_is_small_is_taken_and_cannot_be_resumed(up: Resumption) -> None:
    """``min-size``: "Requests with representation data below this value might still be accepted by
    the server, although without the ability to resume them".
    """
    answer = up.start(b"x" * 9)
    assert (answer.status, answer.interim, up.draft.says(answer)) == (201, (), True)
    assert up.start(b"x" * 10).interim == (104,)
    assert_beyond(up, up.start(b"", {"Upload-Length": "9"}, ends=False), 400)
