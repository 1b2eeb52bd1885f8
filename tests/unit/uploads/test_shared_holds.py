"""Holds among replicas: who is first here waits for the lease, and hands it to the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from fileloft_fast.errors import LockServiceError, ShuttingDownError, UploadLockedError
from fileloft_fast.model import Body, UploadId
from fileloft_fast.uploads.locks import Locks

ID = UploadId("a")


class FakeLease:
    def __init__(self, leases: FakeLeases, fence: int) -> None:
        self.fence = fence
        self.lost = False
        self._leases = leases

    async def release(self) -> None:
        self._leases.log.append("release")
        self._leases.releasing.set()
        await asyncio.sleep(0)


class FakeLeases:
    """Grants at once, or once ``gate`` is set; ``ask`` and ``lose`` are what the service would."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.leases: list[FakeLease] = []
        self.releasing = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.ask: Callable[[], None] = lambda: None
        self.timeout_s = 0.0
        self._on_lost: Callable[[], None] = lambda: None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def acquire(
        self,
        upload: UploadId,
        *,
        timeout_s: float,
        on_ask: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> FakeLease:
        assert upload == ID
        self.log.append("acquire")
        self.timeout_s = timeout_s
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.ask, self._on_lost = on_ask, on_lost
        self.leases.append(FakeLease(self, len(self.leases) + 1))
        return self.leases[-1]

    def lose(self) -> None:
        self.leases[-1].lost = True
        self._on_lost()


class Interruptible:
    """A body that only knows that it was interrupted."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.interrupted = asyncio.Event()

    def interrupt(self, error: Exception) -> None:
        self.error = error
        self.interrupted.set()

    @property
    def as_body(self) -> Body:
        return cast("Body", self)


def test_claims_of_one_replica_share_a_lease_and_the_last_one_releases_it() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(5, leases)

        async def claim() -> None:
            async with locks.hold(ID):
                leases.log.append("hold")

        leases.gate.clear()
        claims = [asyncio.create_task(claim()) for _ in range(3)]
        await asyncio.sleep(0)
        leases.gate.set()
        await asyncio.gather(*claims)
        assert leases.log == ["acquire", "hold", "hold", "hold", "release"]
        assert not locks.queues
        assert not locks.tenancies

    asyncio.run(scene())


def test_a_lease_that_another_replica_wants_is_released_between_two_claims() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks, body = Locks(5, leases), Interruptible()

        async def claim() -> None:
            async with locks.hold(ID):
                leases.log.append("hold")

        async with locks.hold(ID, body.as_body) as hold:
            waiting = asyncio.create_task(claim())
            await asyncio.sleep(0)
            leases.ask()
            assert body.interrupted.is_set()
            assert not hold.lost
        await waiting
        assert leases.log == ["acquire", "release", "acquire", "hold", "release"]

    asyncio.run(scene())


def test_a_replica_that_asks_makes_the_holder_stop() -> None:
    async def scene() -> None:
        leases, body = FakeLeases(), Interruptible()
        async with Locks(5, leases).hold(ID, body.as_body):
            assert body.error is None
            leases.ask()
            assert isinstance(body.error, UploadLockedError)

    asyncio.run(scene())


def test_a_lease_that_is_lost_makes_the_holder_stop_and_is_not_handed_on() -> None:
    async def scene() -> None:
        leases, body = FakeLeases(), Interruptible()
        locks = Locks(5, leases)
        async with locks.hold(ID, body.as_body) as hold:
            before = hold.lost
            waiting = asyncio.create_task(locks.hold(ID).__aenter__())
            await asyncio.sleep(0)
            leases.lose()
            assert (before, hold.lost) == (False, True)
            assert isinstance(body.error, UploadLockedError)
        second = await waiting
        assert len(leases.leases) == 2
        assert not second.lost
        await second.__aexit__(None, None, None)

    asyncio.run(scene())


def test_a_lease_that_is_lost_while_it_is_handed_on_is_not_used() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(5, leases)
        async with locks.hold(ID):
            waiting = asyncio.create_task(locks.hold(ID).__aenter__())
            await asyncio.sleep(0)
        leases.lose()  # the next one was told, and has not run yet
        second = await waiting
        assert not second.lost
        assert len(leases.leases) == 2
        await second.__aexit__(None, None, None)

    asyncio.run(scene())


def test_the_timeout_covers_the_wait_here_and_the_wait_for_the_lease() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(1.0, leases)
        leases.gate.clear()
        first = asyncio.create_task(locks.hold(ID).__aenter__())
        await asyncio.sleep(0.1)
        second = asyncio.create_task(locks.hold(ID).__aenter__())
        with pytest.raises(UploadLockedError):
            await first
        await asyncio.sleep(0)
        assert leases.timeout_s <= 0.9  # a tenth of it was spent in the queue
        with pytest.raises(UploadLockedError):
            await second
        assert not locks.queues

    asyncio.run(scene())


def test_a_service_that_fails_is_the_answer_and_the_next_claim_tries_anew() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(5, leases)
        leases.error = LockServiceError("down")
        leases.gate.clear()
        claims = [asyncio.create_task(locks.hold(ID).__aenter__()) for _ in range(2)]
        await asyncio.sleep(0)
        leases.gate.set()
        for claim in claims:
            with pytest.raises(LockServiceError):
                await claim
        assert leases.log == ["acquire", "acquire"]
        assert not locks.queues

    asyncio.run(scene())


def test_a_server_that_stops_keeps_nobody_waiting_and_gives_its_leases_up() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(5, leases)
        async with locks.hold(ID):
            waiting = asyncio.create_task(locks.hold(ID).__aenter__())
            await asyncio.sleep(0)
            locks.drain(ShuttingDownError("stopping"))
            with pytest.raises(ShuttingDownError):
                await waiting
        assert leases.log == ["acquire", "release"]

        leases.gate.clear()
        waiting = asyncio.create_task(locks.hold(ID).__aenter__())
        await asyncio.sleep(0)
        locks.drain(ShuttingDownError("stopping"))
        with pytest.raises(ShuttingDownError):
            await waiting
        assert not locks.queues

    asyncio.run(scene())


def test_a_claim_that_is_cancelled_in_its_wait_lets_the_next_one_wait() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(5, leases)
        leases.gate.clear()
        first, second = (asyncio.create_task(locks.hold(ID).__aenter__()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        leases.gate.set()
        hold = await second
        assert not hold.lost
        await hold.__aexit__(None, None, None)
        assert not locks.queues

    asyncio.run(scene())


def test_a_holder_that_is_cancelled_in_its_release_does_not_block_the_upload() -> None:
    async def scene() -> None:
        leases = FakeLeases()
        locks = Locks(5, leases)

        async def claim() -> None:
            async with locks.hold(ID):
                pass

        task = asyncio.create_task(claim())
        await leases.releasing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await claim()
        assert not locks.queues

    asyncio.run(scene())


def test_locks_of_one_process_wait_for_nothing_and_lose_nothing() -> None:
    async def scene() -> None:
        locks = Locks(5)
        assert not locks.shared
        assert Locks(5, FakeLeases()).shared
        hold = locks.hold(ID)
        with pytest.raises(StopIteration) as entered:  # not one turn of the loop
            hold.__aenter__().send(None)
        assert entered.value.value is hold
        assert not hold.lost
        with pytest.raises(StopIteration):
            hold.__aexit__(None, None, None).send(None)
        assert not locks.queues

    asyncio.run(scene())
