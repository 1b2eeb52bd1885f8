"""Connections that begin with a PROXY header, plain, under TLS and on a Unix socket."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

import pytest

from tests.certificates import Authority
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet

LINE: Final = b"PROXY TCP4 192.0.2.1 10.0.0.1 4242 80\r\n"
BINARY: Final = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x12\xc0\x00\x02\x01\x0a\x00\x00\x01"
    + struct.pack(">HH", 4242, 80)
    + b"\x04\x00\x03abc"
)
LOCAL: Final = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
OPTIONS: Final = render_request("OPTIONS", "/files/")


@pytest.fixture(scope="module", params=["plain", "tls"])
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """Return an endpoint every connection to which begins with a PROXY header."""
    folder = tmp_path_factory.mktemp("proxied")
    authority = Authority(folder)
    secure = request.param == "tls"
    with Server(
        folder / "data",
        {"FILELOFT_PROXY_PROTOCOL": "1", "FILELOFT_HEAD_TIMEOUT": "1", "FILELOFT_LOG": "debug"}
        | (authority.issue().settings() if secure else {}),
        tls=authority.client() if secure else None,
    ) as server:
        yield Endpoint(server)


@pytest.mark.parametrize(
    "header", [LINE, BINARY, LOCAL, b"PROXY UNKNOWN\r\n"], ids=["v1", "v2", "local", "unknown"]
)
def test_what_follows_a_header_is_served(proxied: Endpoint, header: bytes) -> None:
    server = proxied.server
    with Wire(server.address, 10.0, server.tls, first=header) as wire:
        created = wire.ask(render_request("POST", "/files/", {"Upload-Length": "100000"}))
        upload = proxied.path_of(created)
        assert wire.ask(proxied.render_append(upload, 0, b"x" * 100_000)).status == 204
    assert proxied.stored(upload) == b"x" * 100_000


@pytest.mark.parametrize("header", [LINE, BINARY], ids=["v1", "v2"])
def test_a_header_and_what_follows_may_come_in_one_piece_or_in_many(
    fleet: Fleet, header: bytes
) -> None:
    endpoint = fleet.endpoint(PROXY_PROTOCOL="1")
    with Wire(endpoint.server.address) as wire:
        assert wire.ask(header + OPTIONS).status in {200, 204}
    with Wire(endpoint.server.address) as wire:
        for byte in header:
            wire.send(bytes([byte]))
        assert wire.ask(OPTIONS).status in {200, 204}


@pytest.mark.parametrize(
    "first",
    [
        OPTIONS,
        b"PROXY TCP4 nonsense\r\n" + OPTIONS,
        BINARY[:12] + b"\x11" + BINARY[13:],
        b"\x16\x03",
    ],
    ids=["none", "malformed", "command", "tls"],
)
def test_a_connection_without_a_header_is_closed_without_an_answer(
    proxied: Endpoint, first: bytes
) -> None:
    # It has sent more than is read, so that a reset may come.
    with socket.create_connection(proxied.server.address, 10) as client, suppress(OSError):
        client.sendall(first)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
    assert not [line for line in proxied.server.log if "level=error" in line]


def test_a_header_that_stalls_is_waited_for_as_long_as_a_head(proxied: Endpoint) -> None:
    began = time.monotonic()
    with socket.create_connection(proxied.server.address, 30) as client:
        client.sendall(LINE[:20])
        assert client.recv(100) == b""
    assert time.monotonic() - began > 0.8
    with socket.create_connection(proxied.server.address, 10) as client:
        client.sendall(LINE[:20])
    eventually(lambda: any("closed before the PROXY header" in s for s in proxied.server.log))


def test_a_header_is_read_where_asyncio_checks_its_callers(tmp_path: Path) -> None:
    """It wants sockets that do not block, which accept(2) does not return."""
    settings = {"FILELOFT_PROXY_PROTOCOL": "1", "PYTHONASYNCIODEBUG": "1"}
    with (
        Server(tmp_path, settings) as server,
        Wire(server.address, first=LINE) as wire,
    ):
        assert wire.ask(render_request("OPTIONS", "/files/")).status == 204


def test_only_a_trusted_proxy_may_send_one(fleet: Fleet) -> None:
    strangers = fleet.endpoint(PROXY_PROTOCOL="1", TRUSTED_PROXIES="192.0.2.0/24")
    with Wire(strangers.server.address) as wire:
        wire.assert_silent_end()
    trusted = fleet.endpoint(PROXY_PROTOCOL="1", TRUSTED_PROXIES="127.0.0.0/8")
    with Wire(trusted.server.address, first=BINARY) as wire:
        assert wire.ask(OPTIONS).status in {200, 204}


def test_it_goes_before_http_on_a_unix_socket_too(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    settings = {"FILELOFT_UNIX_SOCKET": str(path), "FILELOFT_PROXY_PROTOCOL": "1"}
    with (
        Server(tmp_path / "data", settings | {"FILELOFT_TRUSTED_PROXIES": "unix"}),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(BINARY + OPTIONS)
        assert client.recv(100).startswith(b"HTTP/1.1 20")


def test_a_stop_does_not_wait_for_headers_that_are_not_there(fleet: Fleet) -> None:
    server = fleet.start(PROXY_PROTOCOL="1")
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_connection(server.address, 10))
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 9  # a drain may take ten seconds
        assert silent.recv(1) == b""


@pytest.mark.parametrize(("proxies", "scheme"), [("127.0.0.1", "https"), ("192.0.2.0/24", "http")])
def test_forwarded_fields_count_where_they_come_from_a_trusted_proxy(
    fleet: Fleet, proxies: str, scheme: str
) -> None:
    endpoint = fleet.endpoint(BEHIND_PROXY="1", TRUSTED_PROXIES=proxies)
    answer = endpoint.post({"Upload-Length": "5", "X-Forwarded-Proto": "https"})
    assert answer["Location"].startswith(f"{scheme}://upload.example/files/")


@pytest.mark.parametrize(
    ("proxies", "header", "fields", "client"),
    [
        pytest.param("127.0.0.1", b"", {}, "127.0.0.1:", id="no proxy"),
        pytest.param("127.0.0.1", b"", {"X-Forwarded-For": "6.6.6.6, 192.0.2.7"}, "192.0.2.7:0"),
        pytest.param("10.0.0.0/8", b"", {"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1:"),
        pytest.param("127.0.0.1", BINARY, {"X-Forwarded-For": "6.6.6.6"}, "192.0.2.1:4242"),
    ],
)
def test_hooks_are_told_who_the_client_is(
    tmp_path: Path, proxies: str, header: bytes, fields: dict[str, str], client: str
) -> None:
    told, script = tmp_path / "told", tmp_path / "hooks" / "pre-create"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\ncat > {told}\n")
    script.chmod(0o755)
    settings = {
        "FILELOFT_HOOKS_DIR": str(script.parent),
        "FILELOFT_BEHIND_PROXY": "1",
        "FILELOFT_TRUSTED_PROXIES": proxies,
        "FILELOFT_PROXY_PROTOCOL": "1" if header else "0",
    }
    with (
        Server(tmp_path / "data", settings) as server,
        Wire(server.address, first=header) as wire,
    ):
        made = wire.ask(render_request("POST", "/files/", {"Upload-Length": "5", **fields}))
        assert made.status == 201
    request = json.loads(told.read_bytes())["Event"]["HTTPRequest"]
    assert request["RemoteAddr"].startswith(client)
