"""tus 1.0, X-HTTP-Method-Override (T040 to T045)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.wire import OCTETS, render_chunks, render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

OVERRIDE = "X-HTTP-Method-Override"
PATCH = {OVERRIDE: "PATCH", "Upload-Offset": "0", "Content-Type": OCTETS}


def test_post_overridden_by_patch_appends(tus: Endpoint) -> None:
    """T040."""
    upload = tus.create(5)
    answer = tus.ask("POST", upload, PATCH, b"hello")
    assert (answer.status, answer["Upload-Offset"]) == (204, "5")
    assert answer["Tus-Resumable"] == "1.0.0"
    tus.assert_holds(upload, b"hello")


def test_post_overridden_by_delete_deletes(tus: Endpoint) -> None:
    """T041."""
    upload = tus.create_holding(b"abc", 5)
    assert tus.ask("POST", upload, {OVERRIDE: "DELETE"}).status == 204
    tus.assert_gone(upload)


def test_post_overridden_by_head_has_no_body_and_keeps_the_connection(tus: Endpoint) -> None:
    """T042: the client sent POST, so it must learn that no body follows."""
    upload = tus.create_holding(b"abc", 5)
    with tus.connect() as wire:
        answer = wire.ask(render_request("POST", upload, {OVERRIDE: "HEAD"}))
        assert answer.status in {200, 204}
        assert answer.status == 204 or answer["Content-Length"] == "0"
        assert answer["Upload-Offset"] == "3"
        assert wire.ask(render_request("HEAD", upload))["Upload-Offset"] == "3"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_only_post_is_overridden(tus: Endpoint, method: str) -> None:
    """T043: a link or a form that reads must not write."""
    upload = tus.create(5)
    tus.ask(method, upload, PATCH, b"hello")
    if method == "DELETE":
        tus.assert_gone(upload)
    else:
        tus.assert_holds(upload, b"")


@pytest.mark.parametrize(
    "value", ["patch", "Patch", "PA TCH", "PATCH, DELETE", "PATCH,", "", "FOO", "GET\t/"]
)
@pytest.mark.parametrize("to_upload", [True, False])
def test_an_override_that_is_no_method_creates_nothing(
    tus: Endpoint, value: str, *, to_upload: bool
) -> None:
    """T044: methods are case-sensitive, and nothing falls through to creation."""
    upload = tus.create(5)
    before = tus.files()
    target = upload if to_upload else tus.base
    answer = tus.ask("POST", target, {**PATCH, OVERRIDE: value, "Upload-Length": "5"}, b"hello")
    assert answer.status in {400, 405, 501}
    assert tus.files() == before
    tus.assert_holds(upload, b"")


def test_post_without_an_override_does_not_append(tus: Endpoint) -> None:
    """T044."""
    upload = tus.create(5)
    before = tus.files()
    answer = tus.ask("POST", upload, {**PATCH, OVERRIDE: None}, b"hello")
    assert answer.status == 405
    assert "PATCH" in answer["Allow"]
    assert tus.files() == before
    tus.assert_holds(upload, b"")


def test_the_normal_request_of_tus_java_client_works(tus: Endpoint) -> None:
    """T045: POST, override, chunked and Expect in one."""
    upload = tus.create(10)
    fields = {**PATCH, "Transfer-Encoding": "chunked", "Expect": "100-continue"}
    with tus.connect() as wire:
        wire.send(render_request("POST", upload, fields))
        wire.wait_for_continue()
        wire.send(render_chunks([b"hello", b"world"]))
        answer = wire.read()
        assert (answer.status, answer["Upload-Offset"]) == (204, "10")
        assert wire.ask(render_request("HEAD", upload))["Upload-Offset"] == "10"
    tus.assert_holds(upload, b"helloworld")
