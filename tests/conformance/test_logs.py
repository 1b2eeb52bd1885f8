"""What the log says of requests, and what it never says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.tokens import JWT_SECRET, bearer, shared
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.server import Server

TOKEN: Final = "s3cr3t-gr4nt"
ACCESS: Final = "at=access"


@pytest.fixture
def told(fleet: Fleet) -> Iterator[Endpoint]:
    with fleet.start(LOG_FORMAT="json", ACCESS_LOG="1", ENABLE_DOWNLOAD="1") as server:
        yield Endpoint(server)


def lines(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log]


def accesses(server: Server, count: int) -> list[dict[str, Any]]:
    """Return *count* lines of the access log, waiting until they are written."""
    eventually(lambda: sum('"at":"access"' in line for line in server.log) >= count)
    return [line for line in lines(server) if line["at"] == "access"]


def test_each_request_is_one_line(told: Endpoint) -> None:
    upload = told.create(5, {"X-Request-Id": "from-the-proxy"})
    assert told.append(upload, 0, b"hello").status == 204
    assert told.ask("GET", upload, {}).body == b"hello"
    assert told.ask("GET", "/files/nobody", {}).status == 404
    made, appended, read, refused = accesses(told.server, 4)
    name = upload.rsplit("/", 1)[1]
    assert made["request"] == "from-the-proxy"
    assert (made["method"], made["path"], made["status"]) == ("POST", "/files/", 201)
    assert made["id"] == appended["id"] == read["id"] == name
    assert (appended["in"], appended["out"], appended["status"]) == (5, 0, 204)
    assert (read["in"], read["out"], read["status"]) == (0, 5, 200)
    assert "id" not in refused
    assert refused["status"] == 404
    for line in (made, appended, read, refused):
        assert line["client"].startswith("127.0.0.1:")
        assert 0 < line["seconds"] < 60
        assert line["msg"] == "request"


def test_the_subject_of_a_token_is_told_and_the_token_is_not(fleet: Fleet) -> None:
    settings = {"AUTH": "jwt", "JWT_SECRET": JWT_SECRET}
    with fleet.start(LOG_FORMAT="json", ACCESS_LOG="1", **settings) as server:
        token = shared("alice")
        tus = Endpoint(server)
        assert tus.post({"Upload-Length": "1", **bearer(token)}).status == 201
        assert tus.post({"Upload-Length": "1"}).status == 401
        made, refused = accesses(server, 2)
        assert made["subject"] == "alice"
        assert "subject" not in refused
    assert not [line for line in server.log if token in line]


def test_an_insane_request_id_is_not_taken(told: Endpoint) -> None:
    for insane in ("a b", 'x" status=200', "-x", "y" * 129):
        assert told.post({"Upload-Length": "1", "X-Request-Id": insane}).status == 201
    for line in accesses(told.server, 4):
        assert len(line["request"]) == 16


def test_operators_paths_are_not_in_the_access_log(told: Endpoint) -> None:
    assert told.ask("GET", "/healthz", {}).status == 200
    assert told.ask("GET", "/readyz", {}).status == 200
    told.create(1)
    assert [line["path"] for line in accesses(told.server, 1)] == ["/files/"]


def test_a_failure_carries_the_id_by_which_the_log_knows_it(fleet: Fleet) -> None:
    with fleet.start(LOG_FORMAT="json", MIN_FREE="8388607T") as server:
        answer = Endpoint(server).post({"Upload-Length": "1"})
        assert answer.status == 507
        server.wait_for_log("storage failed")
        failed = [line for line in lines(server) if line["msg"] == "storage failed"]
        assert [line["request"] for line in failed] == [answer["X-Request-Id"]]


def test_there_is_no_access_log_unless_asked_for(fleet: Fleet) -> None:
    with fleet.start() as server:
        Endpoint(server).create(1)
    assert not [line for line in server.log if ACCESS in line]


@pytest.mark.parametrize("form", ["plain", "json"])
def test_no_query_is_ever_logged(fleet: Fleet, form: str) -> None:
    settings = {"LOG": "debug", "LOG_FORMAT": form, "ACCESS_LOG": "1", "ENABLE_DOWNLOAD": "1"}
    with fleet.start(**settings, BODY_TIMEOUT="1", HEAD_TIMEOUT="1") as server:
        tus = Endpoint(server)
        upload = tus.create(10)
        query = f"?token={TOKEN}"
        asked = [
            render_request("POST", f"/files/{query}", {"Upload-Length": "3"}),
            render_request("HEAD", upload + query, {}),
            render_request("GET", upload + query, {}),
            render_request("OPTIONS", f"/files/{query}", {}),
            render_request("PATCH", upload + query, {"Upload-Offset": "7"}, b"x"),
            tus.render_append(upload + query, 0, b"abc"),
            render_request("DELETE", f"/files/nobody{query}", {}),
            render_request("GET", f"/healthz{query}", {}),
            render_request("GET", f"/elsewhere{query}", {}),
            render_request("GET", f"http://localhost:1/files/x{query}", {}),
            render_request("BREW", f"/files/{query}", {}),
            render_request("GET", f"/files/{query}{'x' * 20000}", {}),
            render_request("GET", f"/files/#{query}", {}),
            f"GET /files/{query} HTTP/3.0\r\n\r\n".encode(),
            f"GET /files/{query}\r\n\r\n".encode(),
            f"GET /files/{query} HTTP/1.1\r\nHost: a b\r\n\r\n".encode(),
            f"GET /files/{query} HTTP/1.1\nHost: x\n\n".encode(),
            render_request("POST", f"/files/{query}", {"Content-Length": "-1"}),
            render_request("POST", f"/files/{query}", {"Transfer-Encoding": "gzip"}),
            render_request("POST", f"/files/{query}", {"Upload-Length": "many"}),
            render_request("PATCH", upload + query, {"Content-Type": OCTETS}),
        ]
        statuses = set()
        for request in asked:
            with tus.connect() as wire:
                statuses.add(wire.ask(request).status)
        assert {201, 200, 204, 400, 404, 409, 414, 501, 505} <= statuses
        with tus.connect() as wire:  # a body that stalls
            head = tus.render_append(upload + query, 3, bytes(7)).partition(b"\r\n\r\n")[0]
            wire.send(head + b"\r\n\r\nx")
            assert wire.read().status == 503
        with tus.connect() as wire:  # a head that does
            wire.send(f"GET /files/{query} HTTP/1.1\r\n".encode())
            assert wire.read().status == 408
        with tus.connect() as wire:  # a client that goes away
            wire.send(head + b"\r\n\r\nx")
            wire.reset()
    assert any("access" in line for line in server.log)
    assert [line for line in server.log if TOKEN in line] == []
