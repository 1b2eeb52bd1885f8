"""Resumable Uploads for HTTP, interim answers (I12 to I14) and 100-continue beside them.

Quoted is draft-ietf-httpbis-resumable-upload, as of 2026-07-01.
"""

from __future__ import annotations

import pytest

from tests.resumption import PARTIAL, Draft, Resumption, read_announcement
from tests.wire import CHUNKED, render_chunks

MIB = 1024 * 1024
BODY = b"hello world"
UNKNOWN = "/files/0123456789abcdef0123456789abcdef"
EXPECT = {"Expect": "100-continue"}
TELLING = [Draft(8)]
SILENT = [Draft(4)]


@pytest.mark.parametrize("chunked", [False, True])
def test_100_comes_beside_104(up: Resumption, *, chunked: bool) -> None:
    """I13: "the server MUST NOT omit the 100 (Continue) response because it has sent an interim
    response with the 104".
    """
    framing = CHUNKED if chunked else {"Content-Length": str(len(BODY))}
    with up.connect() as wire:
        wire.send(up.render_creation(headers={**EXPECT, **framing}))
        upload = read_announcement(wire, up)
        wire.wait_for_continue()
        wire.send(render_chunks([BODY]) if chunked else BODY)
        answer = wire.read()
        assert (answer.status, answer.interim) == (201, ())
        assert wire.ask(up.render("HEAD", upload))["Upload-Offset"] == str(len(BODY))
    up.assert_complete(upload, BODY)


def test_a_client_that_takes_104_for_leave_is_served(up: Resumption) -> None:
    """I13: "The client MAY treat an interim response with the 104 [...] as fulfilling the
    100-continue expectation and start sending the request content".
    """
    with up.connect() as wire:
        fields = {**EXPECT, "Content-Length": str(len(BODY))}
        wire.send(up.render_creation(headers=fields))
        upload = read_announcement(wire, up)
        wire.send(BODY)
        answer = wire.read()
        assert (answer.status, answer.interim) == (201, (100,))
    up.assert_complete(upload, BODY)


def test_an_append_gets_its_100(up: Resumption) -> None:
    """I13: there is nothing to be named by then."""
    upload = up.create(None)
    with up.connect() as wire:
        fields = {**EXPECT, "Content-Length": str(len(BODY))}
        wire.send(up.render_append(upload, 0, b"", fields, ends=True))
        wire.wait_for_continue()
        wire.send(BODY)
        assert wire.read().status == 201
    up.assert_complete(upload, BODY)


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"Upload-Offset": "3"}, 409), ({"Upload-Length": "5"}, 400), ({"Upload-Offset": "x"}, 400)],
)
def test_a_refused_append_is_never_asked_for(
    up: Resumption, wrong: dict[str, str], status: int
) -> None:
    """I13: no interim answer for what is refused by its head alone."""
    upload = up.create(11)
    fields = {**EXPECT, "Content-Length": str(len(BODY)), **wrong}
    answer = up.exchange(up.render_append(upload, 0, b"", fields, ends=True))
    assert (answer.status, answer.interim) == (status, ())
    up.assert_awaits_end(upload, b"")


def test_a_refused_creation_is_never_announced(up: Resumption) -> None:
    """I13: nothing is there to be named."""
    fields = {**EXPECT, "Content-Length": "11", "Upload-Length": "5"}
    answer = up.exchange(up.render_creation(headers=fields))
    assert (answer.status, answer.interim) == (400, ())


@pytest.mark.parametrize("sends", ["at once", "after 104"])
def test_http_1_0_gets_no_interim_answer(up: Resumption, sends: str) -> None:
    """I14: "A server MUST NOT send a 1xx response to an HTTP/1.0 client" (RFC 9110 15.2)."""
    fields = {"Content-Length": str(len(BODY)), **EXPECT}
    request = up.render_creation(headers=fields).replace(b"HTTP/1.1", b"HTTP/1.0")
    with up.connect() as wire:
        if sends == "at once":
            wire.send(request + BODY)
        else:
            wire.send(request)
            assert not wire.wait_readable(0.05)
            wire.send(BODY)
        answer = wire.read()
        assert (answer.status, answer.interim, up.draft.says(answer)) == (201, (), True)
        wire.assert_silent_end()
    up.assert_complete(up.path_of(answer), BODY)


def test_each_request_of_a_pipeline_has_its_own_interim_answers(up: Resumption) -> None:
    """RFC 9112 section 9.3.2: answers come in order, and interim ones belong to their request."""
    upload = up.create(None)
    requests = [
        up.render_creation(BODY),
        up.render_append(upload, 0, b"hello"),
        up.render_creation(b"", ends=False),
        up.render("HEAD", upload),
        up.render_append(UNKNOWN, 0, BODY),
        up.render_creation(render_chunks([BODY]), CHUNKED),
    ]
    with up.connect() as wire:
        wire.send(b"".join(requests))
        answers = [wire.read(head=request.startswith(b"HEAD ")) for request in requests]
    assert [answer.interim for answer in answers] == [(104,), (), (104,), (), (), (104,)]
    statuses = [201, up.draft.appended, 201, 204, 404, 201]
    assert [answer.status for answer in answers] == statuses
    named = [up.path_of(answers[place]) for place in (0, 2, 5)]
    assert named == [up.path_of(answers[place].before[0]) for place in (0, 2, 5)]
    assert len(set(named)) == 3
    assert [up.stored(each) for each in named] == [BODY, b"", BODY]


@pytest.mark.parametrize("up", TELLING, indirect=True, ids=str)
def test_104_tells_how_far_content_has_come(up: Resumption) -> None:
    """I12: "While the request content is being processed, the server SHOULD send interim responses
    with [...] the Upload-Offset header field set to the current offset [...] These interim
    responses MUST NOT include the Location header field"; what is told is a promise.
    """
    upload = up.create(None)
    size = 9 * MIB
    with up.connect() as wire:
        wire.send(up.render_append(upload, 0, b"", {"Content-Length": str(2 * size)}, ends=True))
        wire.send(bytes(size))
        told = wire.read_interim(104)
        assert "Location" not in told
        number = str(up.draft.number) if up.draft.number else None
        assert told.get("Upload-Draft-Interop-Version") == number
        assert 0 < int(told["Upload-Offset"]) <= size
        wire.reset()
    assert up.offset(upload) >= int(told["Upload-Offset"])


@pytest.mark.parametrize("up", SILENT, indirect=True, ids=str)
def test_the_first_drafts_know_no_progress(up: Resumption) -> None:
    """I12: until -02, 104 names the upload and nothing else: once."""
    body = bytes(9 * MIB)
    with up.connect() as wire:
        wire.send(up.render_creation(headers={"Content-Length": str(2 * len(body))}))
        read_announcement(wire, up)
        wire.send(body)
        assert not wire.wait_readable(1.5)
        wire.send(body)
        assert wire.read().interim == ()


def test_partial_content_may_say_so_at_the_target_too(up: Resumption) -> None:
    """tus-js-client's POST has the media type of an append: not the representation's."""
    answer = up.start(BODY, {"Content-Type": PARTIAL}, ends=False)
    assert (answer.status, answer.interim) == (201, (104,))
    assert not up.info(up.path_of(answer)).get("metadata")
