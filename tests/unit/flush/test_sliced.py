"""A body in slices: cut at parts, held up where there is no room, ended whenever that is asked."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from fileloft_fast.errors import StoreError
from fileloft_fast.flush.sliced import SlicedTransfer
from tests.native.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.dataplane import Transfer

PART: Final = 10_000


class Scene:
    """A connection, a file, and a room that is open or not."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.client, self.server = yard.connection()
        self.file = yard.file()
        self.arrived: list[int] = []
        self.begun: list[int] = []
        self.slices = asyncio.Semaphore(99)
        """So many have room."""
        self.waiting = asyncio.Event()

    async def room(self) -> None:
        self.waiting.set()
        await self.slices.acquire()
        self.waiting.clear()

    def begin(self, size: int, prefix: bytes) -> Transfer:
        self.begun.append(size)
        at = sum(self.begun[:-1])
        return self.yard.engine.receive(self.server.fileno(), self.file, at, size, prefix=prefix)

    def receive(self, length: int, prefix: bytes = b"") -> SlicedTransfer:
        return SlicedTransfer(
            length,
            prefix,
            begin=self.begin,
            cut=lambda at: (at // PART + 1) * PART,
            room=self.room,
            arrived=self.arrived.append,
        )


def play(tmp_path: Path, act: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def scene() -> None:
        with ExitStack() as stack:
            await act(Scene(Yard(tmp_path, asyncio.get_running_loop(), stack)))

    asyncio.run(scene())


@pytest.mark.parametrize("prefix", [0, 1, PART, PART + 1, 2 * PART + 5])
def test_slices_end_where_parts_do_however_much_came_with_the_head(
    tmp_path: Path, prefix: int
) -> None:
    content = os.urandom(3 * PART + 7)

    async def act(scene: Scene) -> None:
        transfer = scene.receive(len(content), content[:prefix])
        await scene.yard.sent(scene.client, content[prefix:])
        assert await transfer.done == len(content)
        assert (transfer.moved, transfer.errno) == (len(content), 0)
        assert scene.begun == [PART, PART, PART, 7]
        assert scene.arrived == [PART, 2 * PART, 3 * PART, len(content)]
        assert scene.yard.read() == content

    play(tmp_path, act)


def test_nothing_is_read_from_the_socket_while_there_is_no_room(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.slices = asyncio.Semaphore(2)
        transfer = scene.receive(3 * PART)
        await scene.yard.sent(scene.client, bytes(3 * PART))
        await scene.yard.until(lambda: len(scene.arrived) == 2 and scene.waiting.is_set())
        assert transfer.moved == 2 * PART
        assert not transfer.done.done()
        scene.slices.release()
        assert await transfer.done == 3 * PART

    play(tmp_path, act)


def test_one_that_waits_for_room_ends_once_somebody_is_told_how_far_it_is(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.slices = asyncio.Semaphore(2)
        transfer = scene.receive(3 * PART)
        await scene.yard.sent(scene.client, bytes(3 * PART))
        await scene.yard.until(lambda: len(scene.arrived) == 2 and scene.waiting.is_set())
        assert await transfer.progress() == 2 * PART
        scene.slices.release()
        assert await transfer.done == 2 * PART
        assert transfer.errno == errno.ECANCELED

    play(tmp_path, act)


def test_cancelling_ends_a_wait_for_room_at_once(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.slices = asyncio.Semaphore(0)
        transfer = scene.receive(3 * PART, b"x" * 10)
        await scene.waiting.wait()
        transfer.cancel()
        assert await transfer.done == 0
        assert transfer.errno == errno.ECANCELED
        assert scene.begun == []

    play(tmp_path, act)


def test_cancelling_before_it_has_begun_is_heard(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        transfer = scene.receive(PART)
        transfer.cancel()
        assert await transfer.done == 0
        assert transfer.errno == errno.ECANCELED

    play(tmp_path, act)


def test_cancelling_keeps_what_has_arrived_in_the_middle_of_a_slice(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        transfer = scene.receive(3 * PART)
        await scene.yard.sent(scene.client, bytes(PART + 100))
        await scene.yard.until(lambda: transfer.moved > PART)
        transfer.cancel()
        assert await transfer.done == PART + 100
        assert transfer.errno == errno.ECANCELED
        assert scene.arrived[-1] == PART + 100

    play(tmp_path, act)


def test_progress_is_live_and_counts_every_slice(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        transfer = scene.receive(3 * PART)
        await scene.yard.sent(scene.client, bytes(2 * PART + 100))
        await scene.yard.until(lambda: len(scene.arrived) == 2 and len(scene.begun) == 3)
        assert await transfer.progress() == 2 * PART + 100
        assert transfer.moved == 2 * PART + 100
        transfer.cancel()
        await transfer.done
        assert await transfer.progress() == 2 * PART + 100

    play(tmp_path, act)


def test_a_client_that_ends_early_ends_it(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        transfer = scene.receive(3 * PART)
        await scene.yard.sent(scene.client, bytes(PART + 1))
        scene.client.shutdown(socket.SHUT_WR)
        assert await transfer.done == PART + 1
        assert transfer.errno == 0

    play(tmp_path, act)


def test_a_slice_that_cannot_begin_is_told_by_its_errno(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        scene.server.close()
        transfer = scene.receive(PART)
        assert await transfer.done == 0
        assert transfer.errno == errno.EBADF

    play(tmp_path, act)


def test_a_room_that_fails_ends_it_and_is_kept_to_be_told(tmp_path: Path) -> None:
    async def act(scene: Scene) -> None:
        failure = StoreError("the disk failed")

        async def room() -> None:
            raise failure

        scene.room = room  # type: ignore[method-assign]
        transfer = scene.receive(PART)
        assert await transfer.done == 0
        assert transfer.failure is failure
        assert transfer.errno == errno.EIO

    play(tmp_path, act)
