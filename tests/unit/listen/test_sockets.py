"""Listening sockets: opened as the settings say, or taken from who hands them in."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.config import read_settings
from fileloft_fast.errors import ConfigError
from fileloft_fast.listen import close_sockets, open_sockets, sockets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def opened(stack: ExitStack, *inherited: int, **settings: str) -> list[socket.socket]:
    """Open what the FILELOFT_ *settings* say, until the test ends."""
    env = {f"FILELOFT_{name}": value for name, value in settings.items()}
    listening = open_sockets(read_settings(env), inherited)
    stack.callback(close_sockets, listening)
    return listening


def connects(to: socket.socket) -> bool:
    """Return whether somebody listens where *to* does."""
    with socket.socket(to.family) as client:
        return client.connect_ex(to.getsockname()) == 0


def test_every_address_listens(stack: ExitStack) -> None:
    listening = opened(stack, BIND="127.0.0.1:0,[::1]:0,localhost:0")
    assert len(listening) >= 3
    assert all(connects(each) for each in listening)
    assert not any(each.get_inheritable() for each in listening)


def test_ipv4_and_ipv6_stand_beside_each_other_on_one_port(stack: ExitStack) -> None:
    (four,) = opened(stack, BIND="0.0.0.0:0")
    opened(stack, BIND=f"[::]:{four.getsockname()[1]}")


def test_a_second_address_that_fails_closes_the_first(stack: ExitStack) -> None:
    (taken,) = opened(stack, BIND="127.0.0.1:0")
    port = taken.getsockname()[1]
    with pytest.raises(ConfigError, match=rf"^FILELOFT_BIND: 127\.0\.0\.1:{port}: "):
        opened(stack, BIND=f"127.0.0.1:0,127.0.0.1:{port}")


def test_a_name_that_is_none_stops_the_start(stack: ExitStack) -> None:
    with pytest.raises(ConfigError, match=r"^FILELOFT_BIND: no\.such\.invalid:80: "):
        opened(stack, BIND="no.such.invalid:80")


@pytest.mark.parametrize("mode", ["0600", "0660", "0666"])
def test_a_unix_socket_has_the_mode_that_was_asked_for(
    mode: str, stack: ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    (listening,) = opened(stack, UNIX_SOCKET=str(path), UNIX_SOCKET_MODE=mode)
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)
    assert listening.getsockname() == str(path)
    assert connects(listening)


def test_a_unix_socket_has_the_owner_that_was_asked_for(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Giving away needs root, so what would be done is looked at."""
    given: list[tuple[object, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda *words: given.append(words))
    root = pwd.getpwuid(0).pw_name
    for number, owner in enumerate([root, f"{root}:7", ":7", "5"]):
        opened(stack, UNIX_SOCKET=str(tmp_path / str(number)), UNIX_SOCKET_OWNER=owner)
    assert [words[1:] for words in given] == [(0, -1), (0, 7), (-1, 7), (5, -1)]


def test_an_owner_that_is_unknown_stops_the_start(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with pytest.raises(ConfigError, match=r"^FILELOFT_UNIX_SOCKET_OWNER: .*nobody-like-this"):
        opened(stack, UNIX_SOCKET=str(path), UNIX_SOCKET_OWNER="nobody-like-this")
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_served_one_is_not(
    stack: ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    (first,) = opened(stack, UNIX_SOCKET=str(path))
    with pytest.raises(ConfigError, match="somebody listens"):
        opened(stack, UNIX_SOCKET=str(path))
    first.close()
    assert path.exists()
    (second,) = opened(stack, UNIX_SOCKET=str(path))
    assert connects(second)


def test_a_queue_that_is_full_is_somebody_who_listens(stack: ExitStack, tmp_path: Path) -> None:
    path = tmp_path / "s"
    busy = stack.enter_context(socket.socket(socket.AF_UNIX))
    busy.bind(str(path))
    busy.listen(0)
    for _ in range(2):
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(0)
        client.connect_ex(str(path))
    with pytest.raises(ConfigError, match="somebody listens"):
        opened(stack, UNIX_SOCKET=str(path))
    assert path.exists()


def test_of_two_that_start_at_once_on_a_stale_socket_one_serves(
    stack: ExitStack, tmp_path: Path
) -> None:
    path = tmp_path / "s"
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as stale:
            path.unlink(missing_ok=True)
            stale.bind(str(path))
        results: list[list[socket.socket] | ConfigError] = []

        def start() -> None:
            try:
                results.append(opened(stack, UNIX_SOCKET=str(path)))  # noqa: B023 - joined below
            except ConfigError as refused:
                results.append(refused)  # noqa: B023 - joined below

        threads = [threading.Thread(target=start) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [result for result in results if isinstance(result, list)]
        assert len(won) == 1
        assert connects(won[0][0])
        close_sockets(won[0])


def test_a_directory_that_somebody_keeps_locked_stops_the_start(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_LOCK_S", 0.0)
    with (
        sockets._locked(tmp_path),
        pytest.raises(ConfigError, match=r"^FILELOFT_UNIX_SOCKET: .* locked"),
    ):
        opened(stack, UNIX_SOCKET=str(tmp_path / "s"))


def test_what_another_process_hands_over_goes_before_the_settings(stack: ExitStack) -> None:
    (given,) = opened(stack, BIND="127.0.0.1:0")
    (taken,) = opened(stack, given.dup().detach(), BIND="192.0.2.1:1")
    assert taken.getsockname() == given.getsockname()
    given.close()
    assert connects(taken)


def test_sockets_of_systemd_are_for_the_process_that_they_name(
    stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (given,) = opened(stack, BIND="127.0.0.1:0")
    monkeypatch.setattr(sockets, "FIRST_HANDED_IN", given.dup().detach())
    env = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1), "FILELOFT_BIND": "127.0.0.1:0"}
    (other,) = open_sockets(read_settings(env))
    stack.callback(other.close)
    assert other.getsockname() != given.getsockname()
    (taken,) = open_sockets(read_settings(env | {"LISTEN_PID": str(os.getpid())}))
    stack.callback(taken.close)
    assert taken.getsockname() == given.getsockname()


def test_what_is_no_listening_socket_is_not_taken(stack: ExitStack, tmp_path: Path) -> None:
    file = stack.enter_context((tmp_path / "file").open("wb"))
    datagram = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
    idle = stack.enter_context(socket.socket())
    for number in (file.fileno(), datagram.fileno(), idle.fileno(), 9999):
        copy = os.dup(number) if number != 9999 else number
        with pytest.raises(ConfigError, match=f"descriptor {copy} is no listening"):
            opened(stack, copy)
    # a descriptor that is no socket at all is left open: it is not ours
