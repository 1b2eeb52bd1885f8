"""An upload begun by one protocol, looked at, gone on with, ended and removed by the other."""

from __future__ import annotations

import pytest

from tests.conformance.append import begin_append, end_of
from tests.endpoint import Endpoint
from tests.resumption import FINAL, Draft, Resumption
from tests.wire import CHUNKED, OCTETS, render_chunks

HALF = b"hello"
REST = b" world"
WHOLE = HALF + REST
SOME = [Draft(3), Draft(6), Draft(8), FINAL]
"""One of every kind: what has to do with tus is the same for those between."""

pytestmark = pytest.mark.parametrize("up", SOME, indirect=True, ids=str)


@pytest.fixture
def tus(up: Resumption) -> Endpoint:
    """Return the same server by tus."""
    return Endpoint(up.server)


def assert_tus_tells(tus: Endpoint, upload: str, offset: int, length: int | None) -> None:
    """Assert what HEAD by tus says."""
    answer = tus.head(upload)
    assert (answer.status, answer["Tus-Resumable"]) == (200, "1.0.0")
    assert answer["Upload-Offset"] == str(offset)
    assert answer.get("Upload-Length") == (None if length is None else str(length))
    assert answer.get("Upload-Defer-Length") == ("1" if length is None else None)


# -- begun by tus ---------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [None, 11])
def test_what_tus_began_can_be_looked_at(up: Resumption, tus: Endpoint, length: int | None) -> None:
    upload = tus.create(length, None, HALF)
    answer = up.head(upload)
    assert (answer.status, up.draft.says(answer)) == (204, False)
    assert answer["Upload-Offset"] == "5"
    assert answer.get("Upload-Length") == (None if length is None else "11")
    assert "Upload-Defer-Length" not in answer


def test_what_tus_has_filled_is_complete(up: Resumption, tus: Endpoint) -> None:
    upload = tus.create(11, None, HALF)
    assert tus.append(upload, 5, REST).status == 204
    up.assert_complete(upload, WHOLE)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("length", [None, 11])
def test_what_tus_began_is_ended_by_the_other(
    up: Resumption, tus: Endpoint, length: int | None, *, chunked: bool
) -> None:
    upload = tus.create(length, None, HALF)
    body = render_chunks([REST]) if chunked else REST
    answer = up.append(upload, 5, body, CHUNKED if chunked else None, ends=True)
    assert (answer.status, up.draft.says(answer)) == (201, True)
    up.assert_complete(upload, WHOLE)
    assert_tus_tells(tus, upload, 11, 11)
    assert tus.ask("GET", upload).body == WHOLE


@pytest.mark.parametrize("length", [None, 11])
def test_by_turns(up: Resumption, tus: Endpoint, length: int | None) -> None:
    upload = tus.create(length, None, HALF)
    assert up.append(upload, 5, REST[:2]).status == up.draft.appended
    assert_tus_tells(tus, upload, 7, length)
    assert tus.append(upload, 7, REST[2:4]).status == 204
    up.assert_awaits_end(upload, WHOLE[:9])
    assert up.append(upload, 9, b"", {"Upload-Length": "11"}).status == up.draft.appended
    assert_tus_tells(tus, upload, 9, 11)
    assert tus.append(upload, 9, REST[4:]).status == 204
    up.assert_complete(upload, WHOLE)


def test_a_length_told_by_one_is_the_length_for_the_other(up: Resumption, tus: Endpoint) -> None:
    upload = tus.create(None)
    assert tus.append(upload, 0, HALF, {"Upload-Length": "11"}).status == 204
    assert up.append(upload, 5, REST + b"!", {"Upload-Length": "12"}).status == 400
    assert up.append(upload, 5, REST, ends=True).status == 201
    up.assert_complete(upload, WHOLE)


# -- begun by the other ---------------------------------------------------------------------------


@pytest.mark.parametrize("length", [None, 11])
def test_what_the_other_began_can_be_looked_at_by_tus(
    up: Resumption, tus: Endpoint, length: int | None
) -> None:
    assert_tus_tells(tus, up.create_holding(HALF, length), 5, length)
    assert_tus_tells(tus, up.finish(WHOLE), 11, 11)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("length", [None, 11])
def test_tus_ends_what_the_other_began(
    up: Resumption, tus: Endpoint, length: int | None, *, chunked: bool
) -> None:
    """By tus an upload ends where its length is there; one without is told it first."""
    upload = up.create_holding(HALF, length)
    body = render_chunks([REST]) if chunked else REST
    told = {} if length else {"Upload-Length": "11"}
    answer = tus.append(upload, 5, body, told | (CHUNKED if chunked else {}))
    assert (answer.status, answer["Upload-Offset"]) == (204, "11")
    up.assert_complete(upload, WHOLE)
    assert tus.ask("GET", upload).body == WHOLE


def test_an_upload_that_awaits_its_end_is_not_finished_for_tus_either(
    up: Resumption, tus: Endpoint
) -> None:
    """All of its bytes are there, and nobody has said that this is all: who counts bytes alone
    would take it for finished, so it is not told a length.
    """
    upload = up.create_filled(WHOLE, 11)
    if up.draft.length_ends:
        assert_tus_tells(tus, upload, 11, 11)
    else:
        assert_tus_tells(tus, upload, 11, None)
        assert tus.ask("GET", upload).status == 409
    up.assert_filled(upload, WHOLE)


@pytest.mark.parametrize("told", [{}, {"Upload-Length": "11"}])
def test_an_upload_that_awaits_its_end_is_ended_by_an_empty_patch_of_tus(
    up: Resumption, tus: Endpoint, told: dict[str, str]
) -> None:
    upload = up.create_filled(WHOLE, 11)
    assert tus.append(upload, 11, b"!").status == 413
    up.assert_filled(upload, WHOLE)
    assert tus.append(upload, 11, b"", told).status == 204
    up.assert_complete(upload, WHOLE)
    assert tus.ask("GET", upload).body == WHOLE


def test_the_end_is_awaited_again_by_who_says_so(up: Resumption, tus: Endpoint) -> None:
    """The last bytes of tus's length come with ``?0``: by this protocol that is not the end."""
    upload = tus.create(11, None, HALF)
    ended = up.draft.length_ends
    assert up.append(upload, 5, REST).status == (201 if ended else up.draft.appended)
    up.assert_filled(upload, WHOLE)
    assert tus.ask("GET", upload).status == (200 if ended else 409)
    assert up.append(upload, 11, b"", ends=True).status == 201
    assert tus.ask("GET", upload).body == WHOLE


# -- both at once ---------------------------------------------------------------------------------


def test_who_comes_last_takes_over_whatever_it_speaks(up: Resumption, tus: Endpoint) -> None:
    """I29 and T076."""
    upload = tus.create(1000)
    with tus.connect() as first, tus.connect() as second:
        begin_append(tus, first, upload, 1000, b"a" * 400)
        begin_append(up, second, upload, 600, b"b" * 100, offset=400)
        assert tus.append(upload, 500, b"c" * 500).status == 204
        for wire in (first, second):
            wire.send_pieces([b"!"])
            assert end_of(wire) in {0, 423}
    up.assert_complete(upload, b"a" * 400 + b"b" * 100 + b"c" * 500)


def test_either_removes_what_the_other_began(up: Resumption, tus: Endpoint) -> None:
    upload = up.create_holding(HALF, 11)
    assert tus.ask("DELETE", upload).status == 204
    up.assert_gone(upload)
    upload = tus.create(11, None, HALF)
    assert up.ask("DELETE", upload).status == 204
    tus.assert_gone(upload)


def test_each_is_refused_in_its_own_words(up: Resumption, tus: Endpoint) -> None:
    upload = up.create_holding(HALF, 11)
    answer = tus.append(upload, 3, b"x", {"Content-Type": OCTETS})
    assert (answer.status, "Upload-Offset" in answer) == (409, False)
    assert answer.body.startswith(b"ERR_OFFSET_CONFLICT")
    answer = up.append(upload, 3, b"x")
    assert (answer.status, answer["Upload-Offset"]) == (409, "5")
    assert "Tus-Resumable" not in answer
