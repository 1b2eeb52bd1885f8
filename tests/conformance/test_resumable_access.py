"""Resumable Uploads for HTTP with tokens and quotas: what a subject may and has (I31)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests import tokens
from tests.resumption import FINAL, Draft, Resumption
from tests.tokens import bearer, shared
from tests.wire import CHUNKED, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.server import Server

SETTINGS = {
    "RESUMABLE": "on",
    "AUTH": "jwt",
    "JWT_SECRET": tokens.JWT_SECRET,
    "QUOTA_BYTES": "100",
}


@pytest.fixture(scope="module")
def server(fleet: Fleet) -> Iterator[Server]:
    with fleet.start(**SETTINGS) as server:
        yield server


@pytest.fixture(params=[Draft(3), Draft(8), FINAL], ids=str)
def up(server: Server, request: pytest.FixtureRequest) -> Resumption:
    return Resumption(server, draft=request.param)


def subject(up: Resumption, name: str, **limits: object) -> dict[str, str]:
    """Return the token of a subject that no other draft's test has."""
    name = f"{name}-{up.draft}"
    return bearer(shared(name, fileloft=limits) if limits else shared(name))


@pytest.mark.parametrize("other", [False, True])
def test_every_request_has_to_be_allowed(up: Resumption, *, other: bool) -> None:
    """I31: "each request"; what is not the subject's is not there for it."""
    owner = subject(up, f"owner-{other}")
    wrong = subject(up, "other") if other else {}
    upload = up.create(10, owner, b"hello")
    refused = up.append(upload, 5, b"world", wrong, ends=True)
    up.assert_problem(refused, 404 if other else 401)
    assert up.draft.says(refused) is False
    for method in ("HEAD", "DELETE"):
        assert up.ask(method, upload, wrong).status == (404 if other else 401)
    answer = up.append(upload, 5, b"world", owner, ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    assert up.stored(upload) == b"helloworld"


@pytest.mark.parametrize("ends", [False, True])
def test_bytes_of_unknown_number_count_once_they_are_there(up: Resumption, *, ends: bool) -> None:
    ann = subject(up, f"ann-{ends}")
    body = render_chunks([b"x" * 30])
    assert up.start(body, {**CHUNKED, **ann}, ends=ends).status == 201
    assert up.start(b"", {"Upload-Length": "71", **ann}, ends=False).status == 429
    assert up.start(b"", {"Upload-Length": "70", **ann}, ends=False).status == 201


def test_an_append_of_unknown_size_has_no_more_room_than_the_quota(up: Resumption) -> None:
    ben = subject(up, "ben")
    upload = up.create(None, ben, b"x" * 90)
    answer = up.append(upload, 90, render_chunks([b"x" * 11]), {**CHUNKED, **ben}, ends=True)
    up.assert_problem(answer, 413)
    offset = int(up.head(upload, ben)["Upload-Offset"])
    assert 90 <= offset <= 100
    body = render_chunks([b"x" * (100 - offset)])
    assert up.append(upload, offset, body, {**CHUNKED, **ben}, ends=True).status == 201


def test_bytes_of_a_refused_creation_are_given_back(up: Resumption) -> None:
    kim = subject(up, "kim")
    assert up.start(render_chunks([b"x" * 101]), {**CHUNKED, **kim}).status == 413
    assert up.start(b"x" * 101, kim).status == 413
    assert up.start(b"x" * 100, kim).status == 201


def test_bytes_of_an_upload_that_was_run_past_are_given_back(up: Resumption) -> None:
    """I25: by the early drafts it is still there."""
    eva = subject(up, "eva")
    upload = up.create(50, eva, b"x" * 10)
    assert up.append(upload, 10, render_chunks([b"x" * 41]), {**CHUNKED, **eva}).status == 400
    assert up.start(b"x" * 100, eva).status == (201 if up.draft.late else 429)


def test_an_upload_that_awaits_its_end_is_unfinished(up: Resumption) -> None:
    """Its bytes are all there, and it still counts as one of those that a subject may have open."""
    ida = subject(up, "ida", quota_uploads=1)
    upload = up.create(3, ida, b"abc")
    assert up.start(b"", {"Upload-Length": "3", **ida}, ends=False).status == 429
    assert up.append(upload, 3, b"", ida, ends=True).status == 201
    assert up.start(b"", {"Upload-Length": "3", **ida}, ends=False).status == 201
