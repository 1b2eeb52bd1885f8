"""The locks of whole replicas, holds and leases together: one holder, and everybody's turn."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, cast

import pytest

from fileloft_fast.errors import LockServiceError, UploadLockedError
from fileloft_fast.uploads.locks import Hold, Locks
from tests.stores.backend import find_openers
from tests.stores.redis_server import RedisServer
from tests.stores.replicas import ObjectTown, RedisTown, Replica, Town, fresh_upload, play, until

if TYPE_CHECKING:
    from fileloft_fast.model import Body, UploadId

_TTL_S: Final = 1.0
_TIMEOUT_S: Final = 30.0


@pytest.fixture(scope="module", params=["redis", "memory"])
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """Return a service that replicas share."""
    directory = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        if request.param == "redis":
            yield RedisTown(stack.enter_context(RedisServer(directory)), _TTL_S)
        else:
            opened = stack.enter_context(find_openers()["memory"](directory))
            yield ObjectTown(opened, _TTL_S)


class Sending:
    """A body whose client sends until it is interrupted."""

    def __init__(self) -> None:
        self.interrupted = asyncio.Event()
        self.error: Exception | None = None

    def interrupt(self, error: Exception) -> None:
        self.error = self.error or error
        self.interrupted.set()

    @property
    def as_body(self) -> Body:
        return cast("Body", self)


class Room:
    """Where the holders of one upload are, in all replicas together."""

    def __init__(self) -> None:
        self.holds: list[Hold] = []
        self.fences: list[int] = []
        self.visits = 0

    async def visit(self, locks: Locks, upload: UploadId, stay_s: float) -> None:
        """Hold *upload* until asked to stop, for at most *stay_s*."""
        body = Sending()
        async with locks.hold(upload, body.as_body) as hold:
            assert all(other.lost for other in self.holds), "two holders at once"
            lease = locks.tenancies[upload].lease
            assert lease is not None
            self.fences.append(lease.fence)
            self.holds.append(hold)
            self.visits += 1
            try:
                async with asyncio.timeout(stay_s):
                    await body.interrupted.wait()
            except TimeoutError:
                pass  # done sending
            finally:
                self.holds.remove(hold)


def locks_of(replicas: list[Replica]) -> list[Locks]:
    return [Locks(_TIMEOUT_S, replica.leases) for replica in replicas]


def test_of_a_crowd_on_three_replicas_one_holds_the_upload_and_everybody_gets_it(
    town: Town,
) -> None:
    async def scene(replicas: list[Replica]) -> None:
        room, upload, all_locks = Room(), fresh_upload(), locks_of(replicas)
        dice = random.Random("crowd")

        async def guest(locks: Locks) -> None:
            for _ in range(3):
                await room.visit(locks, upload, dice.uniform(0, 0.02))

        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(guest(all_locks[number % 3]))
        assert room.visits == 36
        assert room.fences == sorted(room.fences)
        assert not any(locks.queues or locks.tenancies for locks in all_locks)

    play(town, 3, scene)


def test_a_replica_that_is_cut_off_among_a_crowd_does_no_harm(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        room, upload, all_locks = Room(), fresh_upload(), locks_of(replicas)
        refused: list[Exception] = []

        async def guest(locks: Locks) -> None:
            for _ in range(3):
                try:
                    await room.visit(locks, upload, 0.01)
                except (LockServiceError, UploadLockedError) as error:
                    refused.append(error)
                    assert locks is all_locks[0]

        body = Sending()
        async with all_locks[0].hold(upload, body.as_body) as cut:
            room.holds.append(cut)
            guests = [asyncio.create_task(guest(all_locks[number % 3])) for number in range(9)]
            replicas[0].cut_off()
            await until(lambda: room.visits)
            assert body.interrupted.is_set()
            room.holds.remove(cut)
        await asyncio.gather(*guests)
        assert room.visits + len(refused) == 27
        assert room.visits >= 18
        assert room.fences == sorted(room.fences)
        assert not any(locks.queues or locks.tenancies for locks in all_locks)

    play(town, 3, scene)


def test_a_busy_replica_does_not_starve_another(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        room, upload, (busy, other) = Room(), fresh_upload(), locks_of(replicas)

        async def guest() -> None:
            while True:
                await room.visit(busy, upload, 0.005)

        guests = [asyncio.create_task(guest()) for _ in range(4)]
        await until(lambda: room.visits >= 8)
        for _ in range(3):
            async with asyncio.timeout(5):
                await room.visit(other, upload, 0)
        for task in guests:
            task.cancel()
        await asyncio.gather(*guests, return_exceptions=True)

    play(town, 2, scene)


def test_requests_in_one_replica_pass_the_lease_on(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        room, upload, (locks,) = Room(), fresh_upload(), locks_of(replicas)
        async with locks.hold(upload):
            visits = [asyncio.create_task(room.visit(locks, upload, 0)) for _ in range(5)]
            await until(lambda: len(locks.queues[upload]) == 6)
            replicas[0].cut_off()  # nobody has to ask the service for what is here
        await asyncio.gather(*visits)
        assert len(set(room.fences)) == 1

    play(town, 1, scene)
