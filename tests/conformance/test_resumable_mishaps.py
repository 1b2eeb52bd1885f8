"""Resumable Uploads for HTTP where a server stops or fails after it has named an upload by 104.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01.
"""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from tests.conformance.test_disk_failure import CONTENT, LENGTH, LIMIT, limited
from tests.deadline import eventually
from tests.resumption import Draft, Resumption, read_announcement
from tests.wire import CHUNKED, NoAnswerError, Wire, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet

DRAFTS = [Draft(3), Draft(8)]
PIECES = [CONTENT[at : at + 50_000] for at in range(0, LENGTH, 50_000)]
FRAMINGS = pytest.mark.parametrize("chunked", [False, True], ids=["plain", "chunked"])


def begin(up: Resumption, wire: Wire, *, chunked: bool, **fields: str) -> None:
    """Send the head of a creation that is to bring CONTENT."""
    framing = CHUNKED if chunked else {"Content-Length": str(LENGTH)}
    wire.send(up.render_creation(b"", {**framing, **fields}))


@pytest.fixture(params=DRAFTS, ids=str)
def narrow(fleet: Fleet, request: pytest.FixtureRequest) -> Resumption:
    """Return a server of this module's own, whose limits the tests change."""
    return Resumption(fleet.endpoint(HEAD_TIMEOUT="17").server, draft=request.param)


@FRAMINGS
def test_a_creation_that_was_named_goes_on_after_a_stop(fleet: Fleet, *, chunked: bool) -> None:
    """ "5xx (Server Error) status code or no final response at all": the client asks where the 104
    has said, and goes on from there.
    """
    first = fleet.start(SHUTDOWN_TIMEOUT="5")
    up = Resumption(first)
    with up.connect() as wire:
        begin(up, wire, chunked=chunked)
        upload = read_announcement(wire, up)
        wire.send(render_chunks(PIECES[:4])[:-5] if chunked else b"".join(PIECES[:4]))
        eventually(lambda: up.offset(upload) == 200_000)
        first.terminate()
        try:
            answer = wire.read()
        except (NoAnswerError, ConnectionResetError):
            pass
        else:
            up.assert_problem(answer, 503)
            assert up.draft.says(answer) is False
    assert first.wait() == 0
    first.assert_clean_log()
    with fleet.restart(first) as second:
        again = Resumption(second)
        again.assert_awaits_end(upload, CONTENT[:200_000])
        assert again.append(upload, 200_000, CONTENT[200_000:], ends=True).status == 201
        again.assert_complete(upload, CONTENT)


@FRAMINGS
def test_what_a_disk_had_room_for_is_kept_where_it_was_named(
    narrow: Resumption, *, chunked: bool
) -> None:
    """Example C of Upload Creation: "Thanks to the interim response containing the upload resource
    URI, the client can resume the upload".
    """
    with limited(narrow, resource.RLIMIT_FSIZE, LIMIT), narrow.connect() as wire:
        begin(narrow, wire, chunked=chunked)
        upload = read_announcement(wire, narrow)
        wire.send_pieces([render_chunks(PIECES)] if chunked else PIECES)
        answer = wire.read()
        narrow.assert_problem(answer, 507)
        assert narrow.draft.says(answer) is False
        offset = narrow.offset(upload)
        assert LIMIT - 50_000 <= offset <= LIMIT
    narrow.assert_awaits_end(upload, CONTENT[:offset])
    assert narrow.append(upload, offset, CONTENT[offset:], ends=True).status == 201
    narrow.assert_complete(upload, CONTENT)


@FRAMINGS
def test_what_was_never_named_is_not_kept(narrow: Resumption, *, chunked: bool) -> None:
    """Who comes by a proxy gets no 104, and nobody could ask for it."""
    before = narrow.files()
    with limited(narrow, resource.RLIMIT_FSIZE, LIMIT), narrow.connect() as wire:
        begin(narrow, wire, chunked=chunked, Via="1.1 proxy")
        wire.send_pieces([render_chunks(PIECES)] if chunked else PIECES)
        answer = wire.read()
        assert (answer.status, answer.before) == (507, ())
    assert narrow.files() == before
