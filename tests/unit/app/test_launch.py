"""What one process hands to the next, and how sockets come to workers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from fileloft_fast.app.workers.launch import HANDED, Launch
from fileloft_fast.app.workers.slots import Slots, close_slots, open_slots
from fileloft_fast.config import Settings, read_settings
from fileloft_fast.errors import ConfigError


def settings(workers: int) -> Settings:
    return read_settings({"FILELOFT_BIND": "127.0.0.1:0", "FILELOFT_WORKERS": str(workers)})


@pytest.fixture
def four() -> Iterator[Slots]:
    slots = open_slots(settings(4), Launch())
    yield slots
    close_slots(slots)


def numbers(slots: Slots) -> list[list[int]]:
    return [[each.fileno() for each in slot] for slot in slots]


def test_each_worker_has_a_socket_of_its_own_at_the_same_address(four: Slots) -> None:
    assert len({each.fileno() for slot in four for each in slot}) == 4
    assert len({each.getsockname() for slot in four for each in slot}) == 1


def test_an_address_that_workers_share_is_taken_for_others(four: Slots) -> None:
    host, port = four[0][0].getsockname()
    wanted = read_settings({"FILELOFT_BIND": f"{host}:{port}", "FILELOFT_WORKERS": "4"})
    with pytest.raises(ConfigError, match="FILELOFT_BIND"):
        open_slots(wanted, Launch())


@pytest.mark.parametrize("workers", [1, 2, 4, 6])
def test_no_socket_that_was_handed_in_is_left_without_a_worker(workers: int) -> None:
    handed = open_slots(settings(4), Launch())
    copies = [[os.dup(each.fileno()) for each in slot] for slot in handed]
    slots = open_slots(settings(workers), Launch(slots=copies))
    try:
        assert len(slots) == workers
        taken = {each.fileno() for slot in slots for each in slot}
        assert taken >= {each for slot in copies for each in slot}
        assert all(slots)
    finally:
        close_slots(slots)
        close_slots(handed)


def test_workers_share_a_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "socket"
    wanted = read_settings({"FILELOFT_UNIX_SOCKET": str(path), "FILELOFT_WORKERS": "3"})
    slots = open_slots(wanted, Launch())
    try:
        assert numbers(slots) == [numbers(slots)[0]] * 3
        assert slots[0][0].family == socket.AF_UNIX
    finally:
        close_slots(slots)


def test_what_is_handed_in_is_read_and_the_predecessor_hears_once() -> None:
    reading, writing = os.pipe()
    launch = Launch.of({HANDED: f"{writing}:5,6;7,6"})
    assert launch.slots == [[5, 6], [7, 6]]
    launch.announce()
    launch.announce()
    assert launch.pipe is None
    assert os.read(reading, 8) == b"r"
    assert os.read(reading, 8) == b""
    os.close(reading)


@pytest.mark.parametrize("text", ["", "x", "3", "3:", "3:a", "3:4,,5", "3:4;"])
def test_what_nobody_of_us_handed_in_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigError):
        Launch.of({HANDED: text})


def test_a_predecessor_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Launch.of({HANDED: f"{writing}:5"}).announce()
