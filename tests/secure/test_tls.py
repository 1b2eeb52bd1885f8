"""The handshake: who is let in, by which version and cipher, and how certificates are renewed."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tests.certificates import Authority, Pair
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.two_way_tls import secured
from tests.wire import OCTETS, NoAnswerError, Wire, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.secure.conftest import SecureFleet

OPTIONS: Final = render_request("OPTIONS", "/files/")


@contextmanager
def served(pair: Pair, tmp_path: Path, **more: str) -> Iterator[Server]:
    """Run a server with the certificate *pair*."""
    settings = {f"FILELOFT_{name}": text for name, text in more.items()}
    with Server(tmp_path / "data", pair.settings() | {"FILELOFT_LOG": "debug"} | settings) as run:
        yield run


def speaks(server: Server, context: ssl.SSLContext) -> bool:
    """Return whether a request can be made with *context*."""
    try:
        with Wire(server.address, 10.0, context) as wire:
            return wire.ask(OPTIONS).status in {200, 204}
    except (ssl.SSLError, ConnectionError, NoAnswerError):
        return False


def limited(authority: Authority, least: ssl.TLSVersion, most: ssl.TLSVersion) -> ssl.SSLContext:
    context = authority.client()
    context.minimum_version, context.maximum_version = least, most
    return context


def test_a_location_is_https(tus: Endpoint) -> None:
    host = f"127.0.0.1:{tus.server.address[1]}"
    answer = tus.post({"Upload-Length": "5", "Host": host})
    assert answer["Location"].startswith(f"https://{host}/files/")
    assert tus.path_of(answer)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)],
)
def test_http_1_1_is_what_alpn_agrees_on(
    tus: Endpoint, authority: Authority, offered: list[str], chosen: str | None
) -> None:
    context = authority.client()
    if offered:
        context.set_alpn_protocols(offered)
    with Wire(tus.server.address, 10.0, context) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.selected_alpn_protocol() == chosen
        assert wire.ask(OPTIONS).status in {200, 204}


@pytest.mark.parametrize(("mode", "spoken"), [("tls12", True), ("tls13", False)])
def test_a_mode_says_which_versions_are_spoken(
    fleet: SecureFleet, authority: Authority, mode: str, *, spoken: bool
) -> None:
    server = fleet.endpoint(TLS_MODE=mode).server
    two, three = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    assert speaks(server, limited(authority, three, three))
    assert speaks(server, limited(authority, two, two)) is spoken


def test_strong_ciphers_alone_are_spoken_where_asked_for(
    fleet: SecureFleet, authority: Authority
) -> None:
    two = ssl.TLSVersion.TLSv1_2
    weak, strong = (limited(authority, two, two) for _ in range(2))
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    strong.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert speaks(fleet.endpoint(TLS_MODE="tls12").server, weak)
    assert speaks(fleet.endpoint(TLS_MODE="tls12-strong").server, strong)
    assert not speaks(fleet.endpoint(TLS_MODE="tls12-strong").server, weak)


def test_a_client_without_a_certificate_of_the_authority_stays_outside(tmp_path: Path) -> None:
    ours, others = Authority.made(tmp_path / "ours"), Authority.made(tmp_path / "others")
    with served(ours.issue(), tmp_path, TLS_CLIENT_CA=str(ours.certificate)) as server:
        assert not speaks(server, ours.client())
        assert not speaks(server, others.issue("mallory").client(ours.certificate))
        assert speaks(server, ours.issue("alice").client(ours.certificate))
        server.wait_for_log("no TLS.*PEER_DID_NOT_RETURN_A_CERTIFICATE")


def test_what_speaks_no_tls_is_closed_without_a_word(fleet: SecureFleet) -> None:
    with fleet.start(LOG="debug") as server:
        for first in (OPTIONS, b"\x16\x03\x01", b"PROXY UNKNOWN\r\n", b"\x00" * 100):
            with socket.create_connection(server.address, 10) as plain:
                plain.sendall(first)
                plain.shutdown(socket.SHUT_WR)
                assert not plain.recv(100).startswith(b"HTTP")
        server.wait_for_log(r'level=debug .*"no TLS"')
        assert not [line for line in server.log if "level=error" in line]


def test_a_handshake_that_stalls_is_ended(fleet: SecureFleet) -> None:
    with fleet.start(HEAD_TIMEOUT="0.5") as server:
        began = time.monotonic()
        with socket.create_connection(server.address, 30) as silent:
            assert silent.recv(100) == b""
        assert time.monotonic() - began > 0.4
        files = len(server.open_files())
        with socket.create_connection(server.address, 10) as silent:
            assert silent.recv(100) == b""
        eventually(lambda: len(server.open_files()) <= files)


def test_connections_that_only_shake_hands_count_as_well(fleet: SecureFleet) -> None:
    with fleet.start(MAX_CONNECTIONS="4") as server, ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(server.address, 10)) for _ in range(4)
        ]
        with socket.create_connection(server.address, 10) as late:
            assert late.recv(1) == b""
        silent[0].close()
        silent[1].close()

        def served_again() -> bool:
            assert server.tls is not None
            return speaks(server, server.tls)

        eventually(served_again)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_renewed_certificate_is_served_and_nobody_is_cut_off(
    tmp_path: Path, workers: str
) -> None:
    before, after = Authority.made(tmp_path / "before"), Authority.made(tmp_path / "after")
    live = before.issue()
    with served(live, tmp_path, WORKERS=workers) as server:
        server.wait_for_log("listening address" if workers == "1" else "msg=serving workers=2")
        endpoint = Endpoint(server)
        server.tls = before.client()
        upload = endpoint.create(2_000_000)
        with endpoint.connect() as idle, endpoint.connect() as busy:
            assert idle.ask(OPTIONS).status in {200, 204}
            request = endpoint.render_append(upload, 0, b"x" * 2_000_000)
            busy.send(request[:1_000_000])

            renewed = after.issue()
            shutil.copy(renewed.certificate, live.certificate)
            shutil.copy(renewed.key, live.key)
            server.send(signal.SIGHUP)
            eventually(
                lambda: sum("certificate renewed" in line for line in server.log) >= int(workers)
            )
            assert all(speaks(server, after.client()) for _ in range(6))
            assert not any(speaks(server, before.client()) for _ in range(6))

            assert idle.ask(OPTIONS).status in {200, 204}
            busy.send(request[1_000_000:])
            assert busy.read().status == 204


def test_a_pair_that_is_broken_changes_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    live = authority.issue()
    with served(live, tmp_path) as server:
        shutil.copy(authority.issue().certificate, live.certificate)
        server.send(signal.SIGHUP)
        said = server.wait_for_log("certificate not renewed")
        assert "FILELOFT_TLS_KEY" in said.string
        assert speaks(server, authority.client())


def test_a_hang_up_without_tls_changes_nothing(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.send(signal.SIGHUP)
        assert Endpoint(server).create(5)


@pytest.mark.parametrize("refused", [{"TLS_KEY": "/nowhere"}, {"TLS_CERT": ""}])
def test_a_certificate_that_cannot_be_had_stops_the_start(
    fleet: SecureFleet, refused: dict[str, str]
) -> None:
    with pytest.raises(AssertionError, match="FILELOFT_TLS_KEY: ") as stopped:
        fleet.start(**refused)
    assert "Traceback" not in str(stopped.value)


def test_a_slow_reader_gets_all_of_the_last_answer(shop: Endpoint) -> None:
    """What waits below TLS is not lost when the connection is closed after it."""
    content = b"d" * 3_000_000
    upload = shop.finish(content)
    with socket.socket() as below:
        below.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        below.settimeout(10)
        below.connect(shop.server.address)
        assert shop.server.tls is not None
        with secured(below, shop.server.tls, "127.0.0.1") as slow:
            slow.sendall(render_request("GET", upload, {"Connection": "close"}))
            got = 0
            while piece := slow.recv(65536):
                got += len(piece)
            assert got > len(content)


def test_a_refused_client_that_sends_on_reads_its_answer(fleet: SecureFleet) -> None:
    endpoint = fleet.endpoint(MAX_SIZE="1000")
    head = render_request(
        "POST",
        "/files/",
        {"Upload-Length": "2000", "Content-Type": OCTETS, "Content-Length": "3000000"},
    )
    with endpoint.connect() as wire:
        wire.send(head)
        wire.send_pieces([b"x" * 100_000] * 30)
        assert wire.read().status == 413
