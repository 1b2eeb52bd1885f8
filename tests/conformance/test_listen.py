"""Where the server listens: several addresses, IPv6, a Unix socket."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet


def test_it_listens_on_every_address(fleet: Fleet) -> None:
    with fleet.start(BIND="127.0.0.1:0,[::1]:0,localhost:0") as server:

        def found() -> set[tuple[str, str]]:
            lines = "\n".join(server.log)
            return set(re.findall(r"listening address=(\S+):(\d+)", lines))

        eventually(lambda: len(found()) >= 3)
        for host, port in found():
            with Wire((host.strip("[]"), int(port))) as wire:
                assert wire.ask(render_request("OPTIONS", "/files/")).status in {200, 204}


def test_a_location_over_ipv6_has_its_brackets(fleet: Fleet) -> None:
    with fleet.start(BIND="[::1]:0") as server:
        endpoint = Endpoint(server)
        host = f"[::1]:{server.address[1]}"
        answer = endpoint.post({"Upload-Length": "5", "Host": host})
        assert answer["Location"].startswith(f"http://{host}/files/")
        endpoint.assert_holds(endpoint.path_of(answer), b"")


def test_it_serves_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    data = tmp_path / "data"
    data.mkdir()
    settings = {"FILELOFT_UNIX_SOCKET": str(path)}
    for _ in range(2):  # the second one finds what a killed process left behind
        server = Server(data, settings)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(render_request("POST", "/files/", {"Upload-Length": "5"}))
            assert client.recv(100).startswith(b"HTTP/1.1 201 Created\r\n")
        server.kill()
    assert len(list(data.glob("*.info"))) == 2


def test_an_address_that_is_taken_stops_the_start(fleet: Fleet) -> None:
    with (
        fleet.start() as server,
        pytest.raises(AssertionError, match="FILELOFT_BIND") as refused,
    ):
        fleet.start(BIND=f"127.0.0.1:{server.address[1]}")
    assert "Traceback" not in str(refused.value)


def test_an_address_of_another_machine_stops_the_start(fleet: Fleet) -> None:
    with pytest.raises(AssertionError, match="FILELOFT_BIND") as refused:
        fleet.start(BIND="192.0.2.1:0")
    assert "Traceback" not in str(refused.value)


def test_a_socket_that_is_served_or_is_no_socket_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_bytes(b"precious")
    settings = {"FILELOFT_UNIX_SOCKET": str(path)}
    with pytest.raises(AssertionError, match="FILELOFT_UNIX_SOCKET"):
        Server(tmp_path, settings)
    assert path.read_bytes() == b"precious"
    path.unlink()
    with (
        Server(tmp_path / "one", settings),
        pytest.raises(AssertionError, match="FILELOFT_UNIX_SOCKET"),
    ):
        Server(tmp_path / "other", settings)


def test_a_server_beside_one_that_shares_no_locks_stops_and_names_the_setting(
    tmp_path: Path,
) -> None:
    with owned(tmp_path):
        with pytest.raises(AssertionError) as raised:
            Server(tmp_path, {"FILELOFT_SHUTDOWN_TIMEOUT": "0"})
        said = str(raised.value).splitlines()[1:]
        assert len(said) == 1
        assert "FILELOFT_DATA_DIR" in said[0]


def test_a_server_waits_for_one_that_shares_no_locks_and_is_about_to_end(tmp_path: Path) -> None:
    """A rolling restart from a version that has the directory alone."""
    with ThreadPoolExecutor() as pool, owned(tmp_path):
        starting = pool.submit(Server, tmp_path)
        with pytest.raises(TimeoutError):
            starting.result(timeout=1.0)
    with starting.result():
        pass


def test_a_hang_up_before_it_serves_does_not_end_it(tmp_path: Path) -> None:
    """Whoever renews certificates may come while a server waits, or adopts many uploads."""
    noted = tmp_path / "pid"
    data = tmp_path / "data"
    data.mkdir()
    wrapper = ("sh", "-c", f'echo $$ >{noted}; exec "$@"', "sh")
    with ThreadPoolExecutor() as pool, owned(data):
        starting = pool.submit(Server, data, wrapper=wrapper)
        pid = eventually(lambda: noted.exists() and int(noted.read_text() or 0))
        eventually(lambda: ignores(pid, signal.SIGHUP))
        os.kill(pid, signal.SIGHUP)
    with starting.result():
        pass


def ignores(pid: int, number: int) -> bool:
    """Return whether the process *pid* ignores a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    matched = re.search(r"^SigIgn:\s+([0-9a-f]+)", status, re.MULTILINE)
    assert matched is not None
    return bool(int(matched[1], 16) >> (number - 1) & 1)


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Have *directory* alone, as earlier versions have it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_server_that_was_killed_gives_its_data_directory_up(tmp_path: Path) -> None:
    first = Server(tmp_path)
    first.kill()
    with Server(tmp_path, {"FILELOFT_SHUTDOWN_TIMEOUT": "0"}):
        pass
