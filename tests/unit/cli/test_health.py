"""``health``: says whether a server lives, wherever the settings have it listen."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.cli import run
from tests.certificates import Authority
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Give the log back: the command takes it over."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a socket that listens on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def bind(listening: socket.socket, host: str = "127.0.0.1") -> dict[str, str]:
    """Return the settings of a server that would listen there."""
    return {"FILELOFT_BIND": f"{host}:{listening.getsockname()[1]}"}


def answering(listening: socket.socket, answer: bytes) -> threading.Thread:
    """Answer one connection by *answer*, whatever it asks."""

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_server_that_answers_lives(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    with fleet.start(BASE_PATH="/up/") as server:
        port = server.address[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            env = {"FILELOFT_BIND": f"{host}:{port}", "FILELOFT_BASE_PATH": "/up/"}
            assert run(["health"], env) == 0
    assert capsys.readouterr().out == "ok\nok\n"


def test_a_server_on_a_unix_socket_is_asked_there(fleet: Fleet, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with fleet.start(UNIX_SOCKET=path):
        assert run(["health"], {"FILELOFT_UNIX_SOCKET": path}) == 0
    assert run(["health"], {"FILELOFT_UNIX_SOCKET": path}) == 1


@pytest.mark.parametrize("wants_certificates", [False, True])
@pytest.mark.parametrize("proxied", [False, True])
def test_a_server_is_asked_as_its_clients_ask_it(
    tmp_path: Path, *, proxied: bool, wants_certificates: bool
) -> None:
    authority = Authority.made(tmp_path / "authority")
    settings = authority.issue().settings()
    if wants_certificates:
        settings["FILELOFT_TLS_CLIENT_CA"] = str(authority.certificate)
    if proxied:
        settings["FILELOFT_PROXY_PROTOCOL"] = "1"
    with Server(tmp_path / "data", settings) as server:
        here = {"FILELOFT_BIND": f"127.0.0.1:{server.address[1]}"}
        assert run(["health"], here | settings) == 0
        assert run(["health"], here) == 1  # it speaks something else
    assert run(["health"], here | settings) == 1


def test_where_nobody_listens_nobody_lives(
    listener: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    env = bind(listener)
    listener.close()
    assert run(["health"], env) == 1
    assert "no answer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"", "not HTTP"),
    ],
)
def test_an_answer_that_is_no_life_is_seen(
    listener: socket.socket, answer: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = answering(listener, answer)
    assert run(["health"], bind(listener)) == 1
    peer.join()
    assert why in capsys.readouterr().err
