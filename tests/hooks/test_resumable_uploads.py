"""Hooks hear of uploads by the IETF's protocol what they hear of tus's: each event once, and late.

Late, since bytes alone do not end such an upload.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import metadata
from tests.hooks.listener import HookServer
from tests.hooks.test_delivery import settings
from tests.resumption import PROBLEM, Draft, Resumption, digest_of, read_announcement
from tests.server import Server
from tests.wire import CHUNKED, Answer, render_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.endpoint import Endpoint

BODY = b"hello world"
ASKED = {"pre-access", "post-receive"}  # of which there are as many as requests, or as it happens
TOLD_LAST = ["post-finish", "stored"]


@pytest.fixture(params=[3, 8, 10], ids=lambda number: f"interop{number}")
def up(hooked: Endpoint, hooks: HookServer, request: pytest.FixtureRequest) -> Resumption:
    """Return a server with every hook by some drafts; nothing was heard yet."""
    assert not hooks.heard
    return Resumption(hooked.server, draft=Draft(request.param))


@pytest.fixture
def listener() -> Iterator[HookServer]:
    """Return a hook server of the test's own."""
    with HookServer() as server:
        yield server


def events(hooks: HookServer, upload: str) -> list[str]:
    """Return what was asked and told of *upload*, in order."""
    return [kind for kind in hooks.types(upload) if kind not in ASKED]


def wait_for_last(hooks: HookServer, upload: str) -> None:
    """Wait for what is told last of *upload*: at once, and in no order."""
    for kind in TOLD_LAST:
        hooks.wait_for(kind, of=upload)


def test_an_upload_is_finished_when_its_client_says_so(up: Resumption, hooks: HookServer) -> None:
    upload = up.create(11, {"Upload-Metadata": metadata(filename="a")}, BODY[:5])
    assert up.took(up.append(upload, 5, BODY[5:]))
    up.assert_awaits_end(upload, BODY)
    hooks.wait_for("post-create", of=upload)
    assert events(hooks, upload) == ["post-create"]
    assert up.append(upload, 11, b"", ends=True).status == 201
    hooks.wait_for("post-finish", of=upload)
    (told,) = hooks.wait_for("stored", of=upload)
    assert (told.upload["Size"], told.upload["Offset"]) == (11, 11)
    up.append(upload, 11, b"", ends=True)  # given again, or refused
    assert up.ask("DELETE", upload, up.draft.fields).status == 204
    hooks.wait_for("post-terminate", of=upload)
    assert sorted(events(hooks, upload)) == sorted(
        ["post-create", "pre-finish", *TOLD_LAST, "pre-terminate", "post-terminate"]
    )


@pytest.mark.parametrize("whole", [False, True])
def test_what_only_the_end_tells_is_told(
    up: Resumption,
    hooks: HookServer,
    whole: bool,  # noqa: FBT001
) -> None:
    """Of chunks nobody knows how many come, and of bytes that come nobody what they hash to."""
    wish = {"Want-Repr-Digest": "sha-256=5"}
    if whole:
        answer = up.start(render_chunks([BODY]), {**CHUNKED, **wish})
    else:
        upload = up.create(None, wish, BODY[:5])
        answer = up.append(upload, 5, render_chunks([BODY[5:]]), CHUNKED, ends=True)
    assert (answer.status, answer["Repr-Digest"]) == (201, digest_of(BODY))
    for kind in ("pre-finish", *TOLD_LAST):
        (told,) = hooks.wait_for(kind, of=up.path_of(answer))
        assert told.upload["Size"] == told.upload["Offset"] == 11
        assert told.upload["SizeIsDeferred"] is False
        assert told.upload["Digests"] == {"sha256": hashlib.sha256(BODY).hexdigest()}
    (made,) = hooks.wait_for("post-create", of=up.path_of(answer))
    assert made.upload["SizeIsDeferred"] is True
    assert "Digests" not in made.upload


def test_what_a_hook_chooses_is_announced(up: Resumption, hooks: HookServer) -> None:
    chosen = f"by-{up.draft}"
    hooks.answers["pre-create"] = {
        "ChangeFileInfo": {"ID": chosen, "MetaData": {"a": "b"}},
        "HTTPResponse": {"Header": {"X-Made": "yes"}},
    }
    answer = up.start(BODY, {"Content-Type": "text/plain"})
    (announced,) = answer.before
    assert up.path_of(announced) == up.path_of(answer) == f"/files/{chosen}"
    assert "X-Made" not in announced
    assert answer["X-Made"] == "yes"
    assert up.info(f"/files/{chosen}")["metadata"] == {"a": "b"}
    hooks.wait_for("stored", of=chosen)
    again = up.start(BODY)  # the id is taken
    assert (again.status, again.before) == (409, ())
    up.assert_complete(f"/files/{chosen}", BODY)


def test_a_hook_that_refuses_is_the_target(up: Resumption, hooks: HookServer) -> None:
    before = up.files()
    hooks.answers["pre-create"] = {"RejectUpload": True}
    answer = up.start(BODY)
    up.assert_problem(answer, 400)
    own = {"StatusCode": 422, "Body": '{"why":"no"}', "Header": {"Content-Type": "text/x"}}
    hooks.answers["pre-create"] = {"RejectUpload": True, "HTTPResponse": own}
    its = up.start(BODY)
    assert (its.status, its["Content-Type"], its.body) == (422, "text/x", b'{"why":"no"}')
    for each in (answer, its):
        assert each.before == ()
        assert up.draft.says(each) is (True if up.draft.late else None)
    assert up.files() == before


def test_an_upload_that_is_void_is_told_to_be_gone(up: Resumption, hooks: HookServer) -> None:
    upload = up.create_holding(BODY[:5], 11)
    assert up.append(upload, 5, BODY).status == 400
    if up.draft.late:
        hooks.wait_for("post-terminate", of=upload)
        up.assert_gone(upload)
    else:
        assert up.append(upload, 5, BODY[5:], ends=True).status == 201
        wait_for_last(hooks, upload)
    assert ("post-terminate" in events(hooks, upload)) is up.draft.late
    assert ("post-finish" in events(hooks, upload)) is not up.draft.late


def test_an_upload_that_was_named_and_cut_was_made(up: Resumption, hooks: HookServer) -> None:
    with up.connect() as wire:
        wire.send(up.render_creation(BODY * 1000)[:-5000])
        upload = read_announcement(wire, up)
        wire.half_close()
        assert wire.read().status == 400
    hooks.wait_for("post-create", of=upload)
    held = up.offset(upload)
    rest = (BODY * 1000)[held:]
    assert up.append(upload, held, rest, ends=True).status == 201
    wait_for_last(hooks, upload)
    assert events(hooks, upload).count("post-finish") == 1


@pytest.mark.parametrize("creates", [False, True])
def test_an_upload_is_stopped_while_its_bytes_come(
    up: Resumption,
    hooks: HookServer,
    creates: bool,  # noqa: FBT001
) -> None:
    own = {"StatusCode": 410, "Body": "project gone"}
    hooks.answers["post-receive"] = {"StopUpload": True, "HTTPResponse": own}
    big = bytes(1_000_000)
    with up.connect() as wire:
        if creates:
            wire.send(up.render_creation(big)[:-500_000])
            upload = read_announcement(wire, up)
        else:
            upload = up.create(None)
            wire.send(up.render_append(upload, 0, big, ends=True)[:-500_000])
        answer = wire.read()
    assert (answer.status, answer.body) == (410, b"project gone")
    assert 0 < hooks.wait_for("post-receive", of=upload)[0].upload["Offset"] <= 500_000
    hooks.wait_for("post-terminate", of=upload)
    up.assert_gone(upload)
    assert "post-finish" not in events(hooks, upload)


def test_a_hook_that_fails_at_the_end_loses_nothing(up: Resumption, hooks: HookServer) -> None:
    upload = up.create_holding(BODY[:5], None)
    hooks.answers["pre-finish"] = {"HTTPResponse": {"StatusCode": 99}}
    failed = up.append(upload, 5, BODY[5:], ends=True)
    assert (failed.status, failed["Content-Type"]) == (500, PROBLEM)
    up.assert_complete(upload, BODY)
    hooks.wait_for("stored", of=upload)


def test_all_bytes_are_not_the_end_for_who_comes_after_a_kill(
    tmp_path: Path, listener: HookServer
) -> None:
    server = Server(tmp_path, settings(listener))
    up = Resumption(server)
    upload = up.create(11)
    chunks = render_chunks([BODY]).removesuffix(b"0\r\n\r\n")  # every byte, and no end
    with up.connect() as wire:
        wire.send(up.render_append(upload, 0, chunks, CHUNKED, ends=True))
        eventually(lambda: up.data_file(upload).stat().st_size == 11)
        server.kill()
    with Server(tmp_path, settings(listener)) as server:
        up = Resumption(server)
        up.assert_awaits_end(upload, BODY)
        last: Answer = up.append(upload, 11, b"", ends=True)
        assert (last.status, up.draft.says(last)) == (201, True)
        wait_for_last(listener, upload)
    told = listener.types(upload)
    assert told[0] == "post-create"  # and again where the kill came before the listener's answer
    assert sorted(kind for kind in told if kind != "post-create") == TOLD_LAST
