"""The locks of several processes: one holder on the whole host, handed over by a message.

Each ``HostLocks`` here opens the lock files for itself, as each process does: to the kernel they
are strangers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import pytest

from fileloft_fast.errors import ShuttingDownError, UploadLockedError
from fileloft_fast.model import Body, UploadId
from fileloft_fast.uploads import settling
from fileloft_fast.uploads.host import HostLocks, LockFiles, Post
from fileloft_fast.uploads.host.files import place_of

if TYPE_CHECKING:
    from pathlib import Path

ID = UploadId("a" * 32)
OTHER = UploadId("b" * 32)
PLACES = {ID: 42, "0f" * 16: 542551296285575051, "of-another-kind": 1136242272378696527}


class Interruptible:
    """A body that only knows that it was interrupted."""

    abandoned = False
    pending = False
    received = 0

    def __init__(self) -> None:
        self.interrupted = asyncio.Event()
        self.error: Exception | None = None

    def interrupt(self, error: Exception) -> None:
        self.error = error
        self.interrupted.set()

    @property
    def as_body(self) -> Body:
        return cast("Body", self)


def run(
    directory: Path,
    scene: Callable[[Sequence[HostLocks]], Coroutine[Any, Any, None]],
    *,
    processes: int = 2,
    timeout_s: float = 5,
) -> None:
    async def all_of_it() -> None:
        with ExitStack() as stack:
            locks = [open_locks(directory, timeout_s) for _ in range(processes)]
            for each in locks:
                stack.callback(each.close)
            await scene(locks)
            assert not any(each.queues or each.asked for each in locks)

    asyncio.run(all_of_it())


def open_locks(directory: Path, timeout_s: float) -> HostLocks:
    return HostLocks(timeout_s, LockFiles(str(directory)), Post(str(directory)))


async def hold_until_asked(locks: HostLocks, order: list[str], name: str) -> None:
    body = Interruptible()
    async with locks.hold(ID, body.as_body):
        order.append(name)
        await body.interrupted.wait()
    assert isinstance(body.error, UploadLockedError)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.001)


def test_another_process_asks_the_holder_to_stop_and_goes_on_in_milliseconds(
    tmp_path: Path,
) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        order: list[str] = []
        took = []
        for _ in range(5):
            task = asyncio.create_task(hold_until_asked(there, order, "there"))
            await until(lambda: here.is_held(ID))
            started = time.monotonic()
            async with here.hold(ID):
                took.append(time.monotonic() - started)
                order.append("here")
            await task
            assert order == ["there", "here"]
            assert not here.is_held(ID)
            order.clear()
        assert min(took) < 0.1

    run(tmp_path, scene)


def test_a_message_that_is_lost_costs_a_moment_and_no_more(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        here.post.tell_all = lambda *_words: None  # type: ignore[method-assign]
        body = Interruptible()
        async with there.hold(ID, body.as_body):
            waiting = asyncio.create_task(here.hold(ID).__aenter__())
            await asyncio.sleep(0)
            assert not waiting.done()
        hold = await waiting
        await hold.__aexit__(None, None, None)

    run(tmp_path, scene)


def test_everybody_who_waits_has_a_turn_and_one_at_a_time(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        held: list[int] = []
        turns: list[int] = []

        async def claim(number: int, each: HostLocks) -> None:
            async with each.hold(ID, Interruptible().as_body):
                assert not held
                held.append(number)
                await asyncio.sleep(0.001)
                turns.append(held.pop())

        claims = [claim(3 * at + n, each) for at, each in enumerate(locks) for n in range(3)]
        await asyncio.gather(*claims)
        assert sorted(turns) == list(range(12))

    run(tmp_path, scene, processes=4)


def test_a_busy_process_does_not_keep_the_upload_from_another(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        busy, other = locks
        done = asyncio.Event()

        async def request_after_request() -> None:
            while not done.is_set():
                async with busy.hold(ID):
                    await asyncio.sleep(0.001)

        crowd = [asyncio.create_task(request_after_request()) for _ in range(3)]
        await until(lambda: busy.is_held(ID))
        for _ in range(10):
            async with other.hold(ID):
                pass
        done.set()
        await asyncio.gather(*crowd)

    run(tmp_path, scene, timeout_s=30)


def test_a_holder_elsewhere_that_does_not_let_go_is_423_and_nothing_stays_behind(
    tmp_path: Path,
) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        async with there.hold(ID):
            with pytest.raises(UploadLockedError):
                async with here.hold(ID):
                    pass
            assert not here.queues
        async with here.hold(ID):
            pass

    run(tmp_path, scene, timeout_s=0.05)


def test_a_turn_that_nobody_waits_for_any_more_goes_to_the_next(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        first, second, holder = locks
        async with holder.hold(ID):
            gives_up = asyncio.create_task(first.hold(ID).__aenter__())
            await until(lambda: ID in holder.asked)
            stays = asyncio.create_task(second.hold(ID).__aenter__())
            await until(lambda: len(holder.asked[ID]) == 2)
            gives_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gives_up
        await (await stays).__aexit__(None, None, None)

    run(tmp_path, scene, processes=3)


def test_a_process_that_ends_takes_nothing_with_it(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        (here,) = locks
        there = open_locks(tmp_path, 5)
        await there.hold(ID).__aenter__()
        assert here.is_held(ID)
        there.close()
        async with here.hold(ID):
            pass
        here.post.tell("nobody", "ask", ID)  # says nothing but that

    run(tmp_path, scene, processes=1)


def test_the_socket_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        (here,) = locks
        peers = tmp_path / ".locks" / "peers"
        dead = open_locks(tmp_path, 5)
        asyncio.get_running_loop().remove_reader(dead.post._socket.fileno())
        dead.post._socket.close()  # as a kill leaves it
        assert len(list(peers.iterdir())) == 2
        here.post.tell_all("hello")
        assert [path.name for path in peers.iterdir()] == [here.post.name]

    run(tmp_path, scene, processes=1)


def test_a_server_that_stops_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        async with there.hold(ID):
            waiting = asyncio.create_task(here.hold(ID).__aenter__())
            await asyncio.sleep(0.01)
            here.drain(ShuttingDownError("stopping"))
            with pytest.raises(ShuttingDownError):
                await waiting

    run(tmp_path, scene)


def test_uploads_do_not_wait_for_one_another(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        async with here.hold(ID), there.hold(OTHER), here.hold(UploadId("of-another-kind")):
            assert there.is_held(ID)

    run(tmp_path, scene, timeout_s=0)


def test_a_look_waits_for_what_another_process_is_about_to_store(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        body = Interruptible()
        async with there.hold(ID, body.as_body) as hold:
            hold.writing = True
            look = asyncio.create_task(here.settle(ID))
            await asyncio.sleep(0.05)
            assert not look.done()
            hold.writing = False
            await look
            assert body.error is None
        await here.settle(ID)

    run(tmp_path, scene)


def test_a_look_waits_until_a_holder_elsewhere_that_was_ended_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For longer than it waits for a process that says nothing."""
    monkeypatch.setattr(settling, "_WAIT_S", 0.01)

    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        body = Interruptible()
        body.abandoned = True
        async with there.hold(ID, body.as_body):
            look = asyncio.create_task(here.settle(ID))
            await until(lambda: here._looks)
            (asking,) = here._looks.values()
            for _ in range(3):
                ends_at = asking.limit.when() or 0.0
                await until(lambda: (asking.limit.when() or 0.0) > ends_at)  # noqa: B023
            assert isinstance(body.error, UploadLockedError)
            assert not look.done()
        await look

    run(tmp_path, scene, timeout_s=20)


def test_a_look_is_423_while_a_holder_elsewhere_that_was_ended_is_not_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "_WAIT_S", 0.01)

    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        body = Interruptible()
        body.abandoned = True
        async with there.hold(ID, body.as_body):
            with pytest.raises(UploadLockedError):
                await here.settle(ID)

    run(tmp_path, scene, timeout_s=0.1)


def test_a_look_ends_when_the_holder_lets_go_without_a_word(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        there.post.tell = lambda _peer, *_words: False  # type: ignore[method-assign]
        async with there.hold(ID, Interruptible().as_body):
            look = asyncio.create_task(here.settle(ID))
            await asyncio.sleep(0.05)
            assert not look.done()
        await look

    run(tmp_path, scene)


def test_one_process_sweeps_and_another_when_that_one_is_gone(tmp_path: Path) -> None:
    async def scene(locks: Sequence[HostLocks]) -> None:
        here, there = locks
        assert here.sweeping.try_take()
        assert here.sweeping.try_take()
        assert not there.sweeping.try_take()
        here.sweeping.leave()
        assert there.sweeping.try_take()

    run(tmp_path, scene)


def test_a_path_too_long_for_a_socket_is_none_for_the_locks(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)

    async def scene(locks: Sequence[HostLocks]) -> None:
        order: list[str] = []
        here, there = locks
        task = asyncio.create_task(hold_until_asked(there, order, "there"))
        await until(lambda: there.is_held(ID))
        async with here.hold(ID):
            pass
        await task

    run(deep, scene)


def test_ids_that_look_alike_have_places_of_their_own() -> None:
    ids = ["0" * 32, "0" * 31 + "1", "1" + "0" * 31, "A" * 32, "a", "b", "0" * 33, "z" * 32, ID]
    assert len({place_of(UploadId(each)) for each in ids}) == len(ids)


def test_the_place_of_an_upload_is_the_same_in_every_version() -> None:
    """Two versions work side by side during an upgrade."""
    places = {each: place_of(UploadId(each)) for each in (ID, "0f" * 16, "of-another-kind")}
    assert places == PLACES
