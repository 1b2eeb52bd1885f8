"""What a grant allows by the IETF's protocol, and how its client is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fileloft_fast.model import Operation
from tests import tokens
from tests.resumption import Draft, Resumption
from tests.tokens import bearer, grant
from tests.wire import CHUNKED, Answer, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet

DRAFTS = [Draft(number) for number in (3, 6, 8, 10)]


@pytest.fixture(params=DRAFTS, ids=str)
def granted(fleet: Fleet, request: pytest.FixtureRequest) -> Resumption:
    """Return a server that takes grants, by some drafts; its uploads may have 1000 bytes."""
    settings = {"AUTH": "grant", "GRANT_SECRET": tokens.GRANT_SECRET, "MAX_SIZE": "1000"}
    return Resumption(fleet.endpoint(**settings).server, draft=request.param)


def largest(answer: Answer) -> str | None:
    """Return what *answer* says of the largest upload."""
    limits = answer.get("Upload-Limit")
    return None if limits is None else limits.partition(",")[0]


def test_a_token_bounds_what_is_announced_and_what_comes(granted: Resumption) -> None:
    token = bearer(grant(max_size=10, uploads=9))
    told = "max-size=10" if granted.draft.has_limits else None
    answer = granted.start(b"x" * 10, token)
    assert (answer.status, largest(answer.before[0]), largest(answer)) == (201, told, told)
    upload = granted.create(None, token, b"x" * 4)
    assert largest(granted.head(upload, {**granted.draft.fields, **token})) == told
    for over in (
        granted.start(b"x" * 11, token),
        granted.start(render_chunks([b"x" * 11]), {**CHUNKED, **token}),
        granted.append(upload, 4, b"x" * 7, token, ends=True),
    ):
        assert (over.status, largest(over)) == (413, told)
    wide = "max-size=1000" if granted.draft.has_limits else None
    assert largest(granted.start(b"", bearer(grant(max_size=5000)))) == wide


def test_a_refused_token_is_the_targets_refusal(granted: Resumption) -> None:
    named = {"Content-Disposition": 'attachment; filename="b"'}
    before = granted.uploads()
    for fields, status in (
        ({}, 401),
        (bearer("nonsense"), 401),
        (bearer(grant(operations=[Operation.INSPECT])), 403),
        (bearer(grant(operations=[Operation.CREATE])), 403),
        ({**bearer(grant(metadata={"filename": "a"})), **named}, 403),
    ):
        answer = granted.start(b"hello", fields)
        granted.assert_problem(answer, status)
        assert granted.draft.says(answer) is (True if granted.draft.late else None)
        assert answer.before == ()
    assert granted.uploads() == before
    good = {**bearer(grant(metadata={"filename": "b"})), **named}
    assert granted.start(b"hello", good).status == 201
