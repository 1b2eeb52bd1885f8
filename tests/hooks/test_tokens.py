"""Hooks beside tokens: they are told whose an upload is, and never the token."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests import tokens
from tests.endpoint import Endpoint
from tests.hooks.conftest import EVERY_EVENT
from tests.tokens import bearer, grant

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.hooks.listener import HookServer


@pytest.fixture(scope="module")
def guarded(fleet: Fleet, hook_server: HookServer) -> Iterator[Endpoint]:
    with fleet.start(
        AUTH="grant",
        GRANT_SECRET=tokens.GRANT_SECRET,
        HOOKS_HTTP=hook_server.url,
        HOOKS_EVENTS=EVERY_EVENT,
        HOOKS_ACCESS_TTL="60",
        ENABLE_CONCATENATION="1",
        ENABLE_DOWNLOAD="1",
    ) as server:
        yield Endpoint(server)


def test_hooks_are_told_whose_an_upload_is_and_not_by_which_token(
    guarded: Endpoint, hooks: HookServer
) -> None:
    token = grant(subject="alice", uploads=2)
    by_query = guarded.ask("POST", f"/files/?a=b&token={token}", {"Upload-Length": "5"})
    upload = guarded.path_of(by_query)
    assert guarded.append(upload, 0, b"hello", bearer(token)).status == 204
    hooks.wait_for("post-finish", of=upload)
    for kind in ("pre-access", "pre-create", "post-create", "pre-finish", "post-finish"):
        for told in hooks.wait_for(kind):
            assert told.upload["Owner"] == "alice"
            assert "eyJ" not in json.dumps(told.json)
            assert "eyJ" not in str(told.headers)
    (created,) = hooks.wait_for("post-create", of=upload)
    assert created.json["Event"]["HTTPRequest"]["URI"] == "/files/?a=b"


def test_leave_for_one_token_is_none_for_another(guarded: Endpoint, hooks: HookServer) -> None:
    """Both come in the query, from one address."""
    hooks.answers["pre-access"] = {"CacheTTL": 60}
    new = {"Upload-Length": "5"}
    assert guarded.ask("POST", f"/files/?token={grant(uploads=9)}", new).status == 201
    hooks.answers["pre-access"] = {"RejectAccess": True}
    assert guarded.ask("POST", f"/files/?token={grant(uploads=9)}", new).status == 403


def test_a_stranger_asks_no_hook(guarded: Endpoint, hooks: HookServer) -> None:
    alice = bearer(grant(subject="alice", uploads=2))
    upload = guarded.create(5, alice)
    part = guarded.finish(b"hello", {**alice, "Upload-Concat": "partial"})
    heard = len(hooks.wait_for("pre-access"))
    everything = grant(subject="bob", operations=["create", "append", "inspect", "read", "delete"])
    bob = bearer(everything)
    for method in ("HEAD", "GET", "DELETE"):
        assert guarded.ask(method, upload, bob).status == 404
    assert guarded.append(upload, 0, b"hello", bob).status == 404
    assert guarded.post({**bob, "Upload-Concat": f"final;{part}"}).status == 400
    assert guarded.head(upload).status == 401
    assert len(hooks.wait_for("pre-access")) == heard


def test_an_id_that_two_want_is_counted_for_who_has_it(
    fleet: Fleet, hook_server: HookServer, hooks: HookServer
) -> None:
    """Both were asked about while there was none; the refused one takes nobody's bytes back."""
    settings = {"AUTH": "grant", "GRANT_SECRET": tokens.GRANT_SECRET, "QUOTA_BYTES": "2000"}
    with fleet.start(**settings, HOOKS_HTTP=hook_server.url, HOOKS_EVENTS="pre-create") as server:
        guarded = Endpoint(server)
        both = threading.Barrier(2)

        def choose(_: object) -> dict[str, object]:
            both.wait(10)
            return {"ChangeFileInfo": {"ID": "chosen"}}

        hooks.answers["pre-create"] = choose
        alice = bearer(grant(subject="alice", uploads=9))
        statuses: list[int] = []

        def create() -> None:
            statuses.append(guarded.post({"Upload-Length": "600", **alice}).status)

        threads = [threading.Thread(target=create) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201, 409]
        hooks.answers.clear()
        assert guarded.post({"Upload-Length": "1500", **alice}).status == 429


def test_an_id_that_a_hook_chooses_begins_as_the_token_asks(
    guarded: Endpoint, hooks: HookServer
) -> None:
    token = bearer(grant(subject="alice", prefix="a", uploads=9))
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"ID": "order-17"}}
    answer = guarded.post({"Upload-Length": "5", **token})
    assert (answer.status, answer.body) == (500, b"ERR_HOOK_FAILED: hook failed\n")
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"ID": "a-order-17"}}
    upload = guarded.create(5, token)
    assert upload.endswith("/a-order-17")
    assert guarded.head(upload, token).status == 200


def test_no_hook_is_asked_of_what_a_grant_or_a_quota_refuses(
    guarded: Endpoint, hooks: HookServer
) -> None:
    token = bearer(grant(subject="carol", uploads=1))
    guarded.create(5, token)
    limited = bearer(grant(subject="dave", quota_bytes=10))
    guarded.create(8, limited)
    asked = len(hooks.wait_for("pre-create", 2))
    assert guarded.post({"Upload-Length": "5", **token}).status == 403
    assert guarded.post({"Upload-Length": "5", **limited}).status == 429
    assert guarded.post({"Upload-Length": "50", **limited}).status == 413
    assert len(hooks.wait_for("pre-create", asked)) == asked


def test_an_upload_that_a_hook_rejects_counts_for_nobody(
    guarded: Endpoint, hooks: HookServer
) -> None:
    token = bearer(grant(subject="erin", uploads=1))
    hooks.answers["pre-create"] = {"RejectUpload": True}
    assert guarded.post({"Upload-Length": "5", **token}).status == 400
    hooks.answers.clear()
    guarded.create(5, token)
