"""Resumable Uploads for HTTP: a token in a URL, and what creations leave in an account.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests import tokens
from tests.resumption import Draft, Resumption, content_digest, read_announcement
from tests.tokens import bearer, grant, shared

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.server import Server

AUTH = {"AUTH": "grant,jwt", "JWT_SECRET": tokens.JWT_SECRET, "GRANT_SECRET": tokens.GRANT_SECRET}
DRAFTS = [Draft(3), Draft(6), Draft(8), Draft(10)]
MOST = b"x" * 60
"""More than half of what a subject may have."""


@pytest.fixture(scope="module")
def strict(fleet: Fleet) -> Iterator[Server]:
    with fleet.start(**AUTH, QUOTA_BYTES="100") as server:
        yield server


@pytest.fixture(params=DRAFTS, ids=str)
def bounded(strict: Server, request: pytest.FixtureRequest) -> Resumption:
    """Return a server whose subjects may have 100 bytes."""
    return Resumption(strict, draft=request.param)


@pytest.fixture
def ann(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the token of a subject that no other test knows."""
    return bearer(shared(request.node.name))


# -- who ------------------------------------------------------------------------------------------


def test_who_has_no_token_need_not_try_again(bounded: Resumption) -> None:
    """I32: "The client SHOULD NOT perform upload resumption to the upload resource after receiving
    a response with the Upload-Complete field value set to true".
    """
    answer = bounded.start(MOST)
    assert answer.before == ()
    bounded.assert_problem(answer, 401)
    assert bounded.draft.says(answer) is (True if bounded.draft.number >= 7 else None)


def test_every_location_has_the_token_of_a_url(bounded: Resumption) -> None:
    """I05: "all interim and final response messages for the same request MUST contain an identical
    Location value"; who could set no field for the creation cannot set one for the rest either.
    """
    token = grant(subject="eve", operations=["create", "append", "inspect"])
    fields = {**bounded.draft.ends(complete=False), "Content-Length": "4"}
    with bounded.connect() as wire:
        wire.send(bounded.render("POST", f"{bounded.base}?token={token}", fields))
        named = wire.read_interim(104)["Location"]
        wire.send(b"abcd")
        answer = wire.read()
    assert (answer.status, answer["Location"]) == (201, named)
    assert named.endswith(f"?token={token}")
    url = urlsplit(named)
    answer = bounded.append(f"{url.path}?{url.query}", 4, b"e", ends=True)
    assert (answer.status, answer["Location"]) == (201, named)


# -- how much -------------------------------------------------------------------------------------


def test_what_nothing_came_of_is_not_counted(bounded: Resumption, ann: dict[str, str]) -> None:
    """The body that does not match its digest came in one piece: nothing was made of it."""
    for _ in range(2):
        answer = bounded.start(MOST, {**ann, **content_digest(b"else")})
        assert (answer.status, answer.before) == (400, ())
    assert bounded.start(MOST, ann).status == 201


def test_what_a_104_has_named_is_counted(bounded: Resumption, ann: dict[str, str]) -> None:
    fields = {**ann, **content_digest(b"else"), "Content-Length": str(len(MOST))}
    with bounded.connect() as wire:
        wire.send(bounded.render_creation(b"", fields))
        upload = read_announcement(wire, bounded)
        wire.send(MOST)
        assert wire.read().status == 400
    assert bounded.head(upload, ann)["Upload-Offset"] == "0"
    assert bounded.start(MOST, ann).status == 429
    assert bounded.append(upload, 0, MOST, ann, ends=True).status == 201
