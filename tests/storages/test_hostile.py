"""What somebody tries who means no good, and what must not happen on a bad day."""

from __future__ import annotations

import os
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.storages.app_server import KEY, AppServer
from tests.storages.s3_clients import boto, refused

if TYPE_CHECKING:
    from tests.server import Server

ROOM_BYTES = 1024 * 1024


@pytest.fixture
def app(server: Server) -> AppServer:
    return AppServer(server)


def test_of_several_types_none_is_run_by_a_browser(app: AppServer, server: Server) -> None:
    """A browser takes the last one of a list, whatever the first one promises."""
    description = app.ticket("page")
    page = b"<script>alert(1)</script>"
    sent = app.ask("PUT", description["url"], page, Content_Type="text/plain;a, text/html")
    assert sent.status == 204
    assert app.verify("page")
    assert app.ask("GET", "/public/page").fields["content-security-policy"] == "sandbox"
    assert app.store("picture", page, Content_Type="image/png").status == 200
    assert "content-security-policy" not in app.ask("GET", "/public/picture").fields
    with boto(server) as s3:
        url = s3.generate_presigned_url(
            "get_object",
            {"Bucket": "public", "Key": "picture", "ResponseContentType": "text/html"},
        )
    assert app.ask("GET", url).fields["content-security-policy"] == "sandbox"


def test_a_range_is_of_a_get_and_never_of_two_versions(app: AppServer) -> None:
    app.store("ranged", b"0123456789")
    shown = app.ask("GET", "/public/ranged", Range="bytes=2-4")
    assert (shown.status, shown.body) == (206, b"234")
    head = app.ask("HEAD", "/public/ranged", Range="bytes=2-4")
    assert (head.status, head.fields["content-length"]) == (200, "10")
    assert app.ask("HEAD", "/public/ranged", Range="bytes=99-").status == 200
    # Two versions of one second have the same date.
    date = shown.fields["last-modified"]
    whole = app.ask("GET", "/public/ranged", Range="bytes=2-4", If_Range=date)
    assert (whole.status, whole.body) == (200, b"0123456789")


def test_what_the_api_does_not_do_it_does_not_half_do(app: AppServer) -> None:
    assert app.store("whole", b"first").status == 200
    told = app.store("whole", b"rd", **{"Content-Range": "bytes 2-3/4"})
    assert (told.status, told.json["error"]) == (400, "invalid_header")
    told = app.store("whole", b"second", **{"If-None-Match": "*"})
    assert (told.status, told.json["error"]) == (412, "precondition_failed")
    assert app.retrieve("whole") == b"first"
    for limit in ("0", "-1", "1001", "x", "000001000000", "9" * 5000):
        assert app.call("GET", f"/v1/objects/public?limit={limit}").status == 400, limit


def test_no_condition_is_passed_over(app: AppServer) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    target = "/v1/objects/public/held"
    assert app.store("held", b"first").status == 200
    tag = app.ask("GET", "/public/held").fields["etag"]
    past = "Sat, 01 Jan 2000 00:00:00 GMT"
    other = [{"If-Match": '"other"'}, {"If-Match": f"W/{tag}"}, {"If-Unmodified-Since": past}]
    for method in ("GET", "HEAD"):
        for asked, fields in (("/public/held", {}), (target, key)):
            for wanted in other:
                assert app.ask(method, asked, None, **fields, **wanted).status == 412, wanted
            for wanted in ({"If-Match": f'"a", {tag}'}, {"If-Match": "*"}):
                assert app.ask(method, asked, None, **fields, **wanted).status == 200, wanted
    # Nothing is written on a condition that nobody keeps while it is written, even if it holds.
    for wanted in (*other, {"If-Match": tag}, {"If-None-Match": tag}):
        assert app.store("held", b"second", **wanted).status == 412
        assert app.call("DELETE", target, **wanted).status == 412
        url = app.ticket("held")["url"]
        assert app.ask("PUT", url, b"third", **wanted).status == 412
    assert app.retrieve("held") == b"first"


def test_where_a_disk_fails_no_next_request_is_read_from_the_rest(
    app: AppServer, server: Server
) -> None:
    """Of what was read from the socket nobody knows how much: it may be in the middle of a body."""
    known = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    path = "/public/" + app.ticket("full")["url"].partition("/public/")[2]
    key = f"Authorization: Bearer {KEY}\r\n"
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (ROOM_BYTES, known[1]))
    try:
        for target, fields in ((path, ""), ("/v1/objects/public/full", key)):
            size = ROOM_BYTES + 30_000
            head = f"PUT {target} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {size}\r\n\r\n"
            with socket.create_connection(server.address, timeout=20) as client:
                client.sendall(head.encode())
                client.sendall(os.urandom(size))
                client.sendall(b"GET /public/next HTTP/1.1\r\nHost: a\r\n\r\n")
                said = client.makefile("rb").read()
            assert said.startswith(b"HTTP/1.1 507 ")
            assert b"\r\nconnection: close\r\n" in said.lower()
            assert said.count(b"HTTP/1.1 ") == 1
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, known)
    assert app.store("full", b"x" * 2 * ROOM_BYTES).status == 200


def test_metadata_of_a_form_become_fields_or_are_refused(server: Server) -> None:
    with boto(server) as s3:
        made: dict[str, Any] = s3.generate_presigned_post(
            "public", "meta", Fields={"x-amz-meta-a b": "c"}, Conditions=[{"x-amz-meta-a b": "c"}]
        )
        assert made["fields"]["x-amz-meta-a b"] == "c"
        assert refused(lambda: s3.head_object(Bucket="public", Key="meta"))[0] == 404
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in made["fields"].items()
    ]
    parts.append('--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n')
    form = "".join(parts).encode()
    app = AppServer(server)
    told = app.ask("POST", "/public", form, Content_Type="multipart/form-data; boundary=x")
    assert (told.status, b"<Code>InvalidArgument</Code>" in told.body) == (400, True)
    assert not app.exists("meta")
