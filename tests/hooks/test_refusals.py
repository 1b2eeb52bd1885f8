"""What hooks answer that cannot be done, or do not answer at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.hooks.listener import Raw
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoint import Endpoint
    from tests.hooks.listener import HookServer

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "change",
    [
        {"ID": "../up"},
        {"ID": "a/b"},
        {"ID": ".hidden"},
        {"ID": "a.info"},
        {"ID": "x" * 129},
        {"ID": "ü"},
        {"MetaData": {"": "x"}},
        {"MetaData": {"a b": "x"}},
        {"MetaData": {"a,b": "x"}},
        {"MetaData": {"ü": "x"}},
        {"MetaData": {"a": "x" * 100_000}},
        {"MetaData": {"a": "x" * 5000}},
        {"MetaData": {"a": 7}},
        {"Storage": {"Path": "/etc/passwd"}},
        {"Storage": {"Path": "../../etc/passwd"}},
        {"Storage": {"Path": "a/../b.txt"}},
        {"Storage": {"Path": "a//b.txt"}},
        {"Storage": {"Path": "a/"}},
        {"Storage": {"Path": "a/.hidden"}},
        {"Storage": {"Path": "."}},
        {"Storage": {"Path": "a\\b.txt"}},
        {"Storage": {"Path": "a/\x00.txt"}},
        {"Storage": {"Path": "a/" + "x" * 256}},
        {"Storage": {"Path": "abc.info"}},
        {"Storage": {"Path": "0123456789abcdef"}},
        {"Storage": {"Path": "outbox/x.events"}},
        {"Storage": {"Path": "spool.id"}},
        {"Storage": {"Path": "Spool.ID"}},
        {"Storage": {"Path": "OutBox/x.events"}},
        {"Storage": {"Path": "access.db"}},
        {"Storage": {"Path": "access.db-wal"}},
        {"Storage": {"Path": "abc.INFO"}},
        {"Storage": {"Path": "abc.info/x"}},
        {"Storage": {"Path": "abc.journal/x"}},
    ],
    ids=lambda change: str(change)[:48],
)
def test_what_a_hook_names_is_looked_at_like_any_name_from_outside(
    hooked: Endpoint, hooks: HookServer, change: dict[str, Any]
) -> None:
    before = hooked.files()
    hooks.answers["pre-create"] = {"ChangeFileInfo": change}
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 500
    assert answer.body == b"ERR_HOOK_FAILED: hook failed\n"
    assert hooked.files() == before


@pytest.mark.parametrize(
    "said",
    [
        {"Header": {"X-A": "b\r\nSet-Cookie: c=d"}},
        {"Header": {"X-A\r\nSet-Cookie": "b"}},
        {"Header": {"X-A": "b\nc"}},
        {"Header": {"X-A": "b\0c"}},
        {"Header": {"X-A": "ü"}},
        {"Header": {"": "b"}},
        {"Header": {"X A": "b"}},
        {"Header": {"Content-Length": "0"}},
        {"Header": {"transfer-encoding": "chunked"}},
        {"Header": {"Connection": "close"}},
        {"Header": {"X-A": ["b"]}},
        {"StatusCode": 99},
        {"StatusCode": 101},
        {"StatusCode": 1000},
        {"StatusCode": -1},
        {"StatusCode": "200"},
        {"Body": 7},
    ],
    ids=str,
)
def test_an_answer_that_http_forbids_is_refused(
    hooked: Endpoint, hooks: HookServer, said: dict[str, Any]
) -> None:
    hooks.answers["pre-create"] = {"HTTPResponse": said}
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 500
    assert "Set-Cookie" not in answer
    assert "Location" not in answer


@pytest.mark.parametrize(
    "raw",
    [
        Raw(body=b"{"),
        Raw(body=b"[]"),
        Raw(body=b"\xff\xfe"),
        Raw(body=b"null"),
        Raw(body=b'"yes"'),
        Raw(body=b"{}", headers={"Content-Type": "text/html"}),
        Raw(body=b'{"HTTPResponse":{"Body":"' + b"x" * 1_000_000 + b'"}}'),
        Raw(body=b"[" * 100_000, headers=JSON),
        Raw(body=b'{"x":' + b"[" * 20_000 + b"]" * 20_000 + b"}", headers=JSON),
        Raw(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        Raw(status=501),
    ],
)
def test_an_answer_that_is_not_tusds_json_is_a_failure(
    hooked: Endpoint, hooks: HookServer, raw: Raw
) -> None:
    hooks.answers["pre-create"] = raw
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 500
    assert answer.body == b"ERR_HOOK_FAILED: hook failed\n"


def test_an_empty_answer_says_nothing(hooked: Endpoint, hooks: HookServer) -> None:
    hooks.answers["pre-create"] = Raw(status=204, body=b"", headers={})
    assert hooked.post({"Upload-Length": "5"}).status == 201


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429])
def test_a_hooks_own_status_is_the_clients(
    hooked: Endpoint, hooks: HookServer, status: int
) -> None:
    # 429 is tried again first; in the end the hook has not answered
    hooks.answers["pre-create"] = Raw(
        status, b'{"login":"please"}', {**JSON, "WWW-Authenticate": "Bearer", "X-Other": "no"}
    )
    answer = hooked.post({"Upload-Length": "5"})
    if status == 429:
        assert answer.status == 503
        return
    assert (answer.status, answer.body) == (status, b'{"login":"please"}')
    assert answer["Www-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/json"
    assert "X-Other" not in answer


def test_a_hook_that_is_down_makes_nothing_and_the_client_comes_again(
    hooked: Endpoint, hooks: HookServer
) -> None:
    before = hooked.uploads()
    hooks.answers["pre-create"] = Raw(status=500)
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 503
    assert answer.body.startswith(b"ERR_HOOK_UNAVAILABLE")
    assert "Retry-After" in answer
    assert len(hooks.wait_for("pre-create", 2)) == 2  # it was tried again
    assert hooked.uploads() == before
    hooks.answers["pre-create"] = lambda _: Raw(500) if len(hooks.heard) % 2 else {}
    assert hooked.post({"Upload-Length": "5"}).status == 201


def test_a_slow_hook_is_not_waited_for_longer_than_it_may_take(
    hooked: Endpoint, hooks: HookServer
) -> None:
    gate = threading.Event()
    hooks.answers["pre-create"] = Raw(wait=gate)
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 503
    gate.set()


def test_a_pre_finish_hook_that_fails_loses_no_byte_and_no_event(
    hooked: Endpoint, hooks: HookServer
) -> None:
    upload = hooked.create(5)
    hooks.answers["pre-finish"] = Raw(401, b"no", JSON)
    assert hooked.append(upload, 0, b"hello").status == 401
    hooked.assert_holds(upload, b"hello")
    hooks.wait_for("post-finish", of=upload)


# -- pre-access -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "GET"])
def test_every_request_asks_for_access(hooked: Endpoint, hooks: HookServer, method: str) -> None:
    upload = hooked.create_holding(b"he", 5)
    hooks.answers["pre-access"] = {
        "RejectAccess": True,
        "HTTPResponse": {"StatusCode": 401, "Header": {"WWW-Authenticate": "Bearer"}},
    }
    fields = {"Upload-Offset": "2", "Content-Type": OCTETS} if method == "PATCH" else {}
    body = b"llo" if method == "PATCH" else b""
    answer = hooked.ask(method, upload, fields, body)
    assert answer.status == 401
    assert answer["Www-Authenticate"] == "Bearer"
    assert "Upload-Offset" not in answer
    assert hooked.post({"Upload-Length": "5"}).status == 401
    assert hooked.ask("OPTIONS", upload).status == 204  # a browser sends no credentials with it
    hooks.answers["pre-access"] = {}
    hooked.assert_holds(upload, b"he")


def test_a_status_alone_denies_access(hooked: Endpoint, hooks: HookServer) -> None:
    hooks.answers["pre-access"] = {"HTTPResponse": {"StatusCode": 404}}
    assert hooked.post({"Upload-Length": "5"}).status == 404
    hooks.answers["pre-access"] = {"RejectAccess": True}
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 403
    assert answer.body.startswith(b"ERR_REFUSED_BY_HOOK")


def test_access_is_remembered_by_method_upload_and_credentials(
    hooked: Endpoint, hooks: HookServer
) -> None:
    upload = hooked.create(5)
    hooks.clear()
    hooks.answers["pre-access"] = {"CacheTTL": 60}
    for _ in range(3):
        assert hooked.head(upload, {"Authorization": "a"}).status == 200
    assert len(hooks.wait_for("pre-access", of=upload)) == 1
    assert hooked.head(upload, {"Authorization": "b"}).status == 200
    assert hooked.append(upload, 0, b"x", {"Authorization": "a"}).status == 204
    assert len(hooks.wait_for("pre-access", 3, of=upload)) == 3
    hooks.answers["pre-access"] = {"RejectAccess": True}
    assert hooked.head(upload, {"Authorization": "a"}).status == 200
    assert hooked.head(upload, {"Authorization": "c"}).status == 403


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("more", [{}, {"RejectUpload": True}], ids=str)
def test_an_answer_whose_status_has_no_body_is_sent_none(
    hooked: Endpoint, hooks: HookServer, status: int, more: dict[str, Any]
) -> None:
    """What came after such an answer would be taken for the next one."""
    response = {"StatusCode": status, "Body": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}
    hooks.answers["pre-create"] = {"HTTPResponse": response, **more}
    with hooked.connect() as wire:
        answer = wire.ask(render_request("POST", "/files/", {"Upload-Length": "5"}))
        assert (answer.status, answer.body) == (status, b"")
        assert wire.ask(render_request("OPTIONS", "/files/")).status == 204


def test_a_refusal_in_bytes_that_are_no_text_is_passed_on(
    hooked: Endpoint, hooks: HookServer
) -> None:
    hooks.answers["pre-create"] = Raw(403, b"\xff\xfe:no")
    answer = hooked.post({"Upload-Length": "5"})
    assert (answer.status, answer.body) == (403, b"\xff\xfe:no")


@pytest.mark.parametrize("path", ["way-out/a.txt", "way-out/b/a.txt"])
def test_a_storage_path_never_leads_through_a_symbolic_link(
    hooked: Endpoint, hooks: HookServer, tmp_path: Path, path: str
) -> None:
    link = hooked.server.data / "way-out"
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"Storage": {"Path": path}}}
    late = hooked.create(5)
    link.symlink_to(tmp_path)
    try:
        assert hooked.append(late, 0, b"hello").status == 409
        hooked.assert_holds(late, b"hello")
        (told,) = hooks.wait_for("post-finish", of=late)
        assert told.upload["Storage"]["Path"] == str(hooked.data_file(late))
        assert hooked.post({"Upload-Length": "5"}).status == 409
        assert list(tmp_path.iterdir()) == []
        assert hooked.ask("DELETE", late).status == 204
    finally:
        link.unlink()
