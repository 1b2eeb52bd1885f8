"""What is handed to another worker: a socket, and every byte that came before."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from fileloft_fast.errors import OverloadedError
from fileloft_fast.http1.handover import Handover, Inbox, open_inboxes
from fileloft_fast.observe.board import Board

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fileloft_fast.http1.connection import Connection


class Client:
    """As much of a connection as a handover asks for."""

    told = "192.0.2.1:5"

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self.said: list[str] = []

    def pause(self) -> None:
        self.said.append("pause")

    def abort(self) -> None:
        self.said.append("abort")

    def duplicate(self) -> int | None:
        return os.dup(self._end.fileno())


@pytest.fixture
def inboxes() -> Iterator[list[Inbox]]:
    made = open_inboxes(2)
    yield made
    for inbox in made:
        for each in inbox:
            each.close()


@pytest.fixture
def client() -> Iterator[Client]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Client(ours)


def handover(inboxes: list[Inbox], board: Board) -> Handover:
    where = {"/files/a": 0, "/files/b": 1}
    return Handover(0, inboxes, where.get, board)


def fill(ours: Handover, client: Client) -> None:
    while True:
        ours.moves(cast("Connection", client), "/files/b", b"x" * 1000)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_ours_or_nobodys_stays(inboxes: list[Inbox], client: Client) -> None:
    ours = handover(inboxes, Board())
    for path in ("/files/a", "/files/", "*"):
        assert not ours.moves(cast("Connection", client), path, b"")
    assert not client.said


@pytest.mark.parametrize("size", [0, 1, 1024, 1025, 300_000])
def test_every_byte_that_came_goes_with_the_socket(
    inboxes: list[Inbox], client: Client, size: int
) -> None:
    data = os.urandom(size)
    assert handover(inboxes, Board()).moves(cast("Connection", client), "/files/b", data)
    assert client.said == ["pause", "abort"]
    message, found, _, _ = socket.recv_fds(inboxes[1][1], 4096, 2)
    end = 1 + message[0]
    assert message[1:end] == b"192.0.2.1:5"
    came = message[end:]
    if len(found) == 2:
        came = os.pread(found[1], size, 0)
        os.close(found[1])
    assert came == data
    os.close(found[0])


def test_a_full_queue_is_an_answer_that_asks_to_try_again(
    inboxes: list[Inbox], client: Client
) -> None:
    ours = handover(inboxes, Board())
    before = descriptors()
    with pytest.raises(OverloadedError):
        fill(ours, client)
    assert client.said.count("abort") > 50
    assert client.said[-2:] == ["abort", "pause"]
    assert descriptors() == before
