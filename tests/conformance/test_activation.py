"""A service under systemd: sockets that are handed in, and what is told in return."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from pathlib import Path

# As systemd does it: the sockets become descriptor 3 and up, and LISTEN_PID is the process itself.
ACTIVATE: Final = (
    "bash",
    "-c",
    'exec 3<&"$0" 4<&"$1"; shift; LISTEN_FDS=2 LISTEN_PID=$$ exec "$@"',
)
OPTIONS: Final = render_request("OPTIONS", "/files/")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def heard(systemd: socket.socket, wanted: str) -> list[str]:
    """Return the first message with *wanted* in it."""
    while True:
        lines = systemd.recv(4096).decode().split("\n")
        if wanted in lines:
            return lines


def test_sockets_that_are_handed_in_are_served_and_outlive_the_server(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        unix.listen()
        numbers = (tcp.fileno(), unix.fileno())
        for _ in range(2):  # the second one takes over what the first has left
            with Server(
                tmp_path / "data",
                {"FILELOFT_BIND": "192.0.2.1:1"},
                wrapper=(*ACTIVATE, *map(str, numbers)),
                pass_fds=numbers,
            ) as server:
                assert server.address == tcp.getsockname()
                with Wire(tcp.getsockname()) as wire:
                    assert wire.ask(OPTIONS).status in {200, 204}
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(10)
                    client.connect(str(path))
                    client.sendall(OPTIONS)
                    assert client.recv(100).startswith(b"HTTP/1.1 20")
            # What connects now waits for the next one.
            with socket.socket(socket.AF_UNIX) as waiting:
                waiting.connect(str(path))


def test_a_descriptor_that_is_no_socket_stops_the_start(tmp_path: Path) -> None:
    number = os.open("/dev/null", os.O_RDONLY)
    try:
        with pytest.raises(AssertionError, match="LISTEN_FDS: descriptor 3 is no listening"):
            Server(
                tmp_path / "data",
                wrapper=(*ACTIVATE, str(number), str(number)),
                pass_fds=(number,),
            )
    finally:
        os.close(number)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_services_life_is_told(systemd: socket.socket, tmp_path: Path, workers: str) -> None:
    settings = {
        "NOTIFY_SOCKET": systemd.getsockname(),
        "WATCHDOG_USEC": "100000",
        "FILELOFT_WORKERS": workers,
    }
    with Server(tmp_path / "data", settings) as server:
        assert heard(systemd, "READY=1")
        assert Endpoint(server).create(5)
        assert heard(systemd, "WATCHDOG=1")
        assert heard(systemd, "WATCHDOG=1")
        server.send(signal.SIGHUP)
        _, since = heard(systemd, "RELOADING=1")
        assert re.fullmatch("MONOTONIC_USEC=[0-9]+", since)
        assert heard(systemd, "READY=1")
        server.terminate()
        assert heard(systemd, "STOPPING=1")
        assert server.wait() == 0


def test_a_loop_that_is_stuck_stops_telling_the_watchdog(
    systemd: socket.socket, tmp_path: Path
) -> None:
    settings = {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "100000"}
    with Server(tmp_path / "data", settings) as server:
        assert heard(systemd, "WATCHDOG=1")
        server.send(signal.SIGSTOP)
        try:
            systemd.settimeout(0.5)
            with pytest.raises(TimeoutError):
                heard(systemd, "never said")
        finally:
            server.send(signal.SIGCONT)
        systemd.settimeout(10)
        assert heard(systemd, "WATCHDOG=1")
