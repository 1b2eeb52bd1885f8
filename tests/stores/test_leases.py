"""What replicas can rely on: the same rules for Redis and for each object store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from fileloft_fast.errors import LockServiceError, UploadLockedError
from tests.stores.backend import find_openers
from tests.stores.redis_server import RedisServer
from tests.stores.replicas import (
    LEASE_TTL_S,
    ObjectTown,
    RedisTown,
    Replica,
    Town,
    fresh_upload,
    play,
)

_OPENERS = find_openers()
_VARIANTS: Final = ("unchecked", "blocks")  # of a store whose conditions are the same

STORES: Final = sorted(name for name in _OPENERS if not name.endswith(_VARIANTS))


@pytest.fixture(scope="module", params=["redis", *STORES])
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    """Return a service that replicas share."""
    name = request.param
    directory = tmp_path_factory.mktemp(name)
    with ExitStack() as stack:
        if name == "redis":
            yield RedisTown(stack.enter_context(RedisServer(directory)), LEASE_TTL_S)
            return
        backend = stack.enter_context(_OPENERS[name](directory))
        if not backend.keeps_conditions:
            pytest.skip("this emulator has no conditional writes")
        yield ObjectTown(backend, LEASE_TTL_S)


def test_who_asks_gets_the_upload_as_soon_as_its_holder_lets_go(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        here, there = replicas
        upload, loop = fresh_upload(), asyncio.get_running_loop()
        held = await here.acquire(upload)
        assert not held.asked.is_set()
        waiting = asyncio.create_task(there.acquire(upload))
        await held.asked.wait()
        assert not waiting.done()
        released_at = loop.time()
        await held.lease.release()
        taken = await waiting
        assert loop.time() - released_at < town.settles_s
        assert taken.lease.fence > held.lease.fence
        assert not taken.lost.is_set()
        await taken.lease.release()

    play(town, 2, scene)


def test_a_lease_lasts_as_long_as_it_is_renewed(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        here, there = replicas
        upload = fresh_upload()
        held = await here.acquire(upload)
        with pytest.raises(UploadLockedError):
            await there.acquire(upload, timeout_s=2.5 * town.ttl_s)
        assert held.asked.is_set()
        assert not held.lost.is_set()
        assert not held.lease.lost
        await held.lease.release()

    play(town, 2, scene)


def test_who_gave_up_waiting_does_not_keep_others_from_the_upload(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        here, there, third = replicas
        upload = fresh_upload()
        held = await here.acquire(upload)
        impatient = asyncio.create_task(there.acquire(upload))
        await held.asked.wait()
        patient = asyncio.create_task(third.acquire(upload))
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
        await held.lease.release()
        async with asyncio.timeout(town.settles_s + 2):
            taken = await patient
        await taken.lease.release()

    play(town, 3, scene)


def test_a_holder_that_is_cut_off_knows_it_before_another_has_the_upload(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        here, there = replicas
        upload, loop = fresh_upload(), asyncio.get_running_loop()
        held = await here.acquire(upload)
        here.cut_off()
        cut_at = loop.time()
        taken = await there.acquire(upload)
        assert held.lost.is_set()
        assert held.lease.lost
        assert loop.time() - cut_at < 2 * town.ttl_s + town.settles_s
        assert taken.lease.fence > held.lease.fence
        await held.lease.release()
        assert not taken.lease.lost
        await taken.lease.release()

    play(town, 2, scene)


def test_a_replica_that_is_cut_off_says_so_soon(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        replicas[0].cut_off()
        async with asyncio.timeout(15):
            with pytest.raises(LockServiceError):
                await replicas[0].acquire(fresh_upload())

    play(town, 1, scene)


def test_a_replica_that_stops_gives_up_what_it_holds(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        upload = fresh_upload()
        async with town.open() as stopping:
            held = await stopping.acquire(upload)
        async with asyncio.timeout(town.settles_s):
            taken = await replicas[0].acquire(upload)
        assert not held.lost.is_set()
        await taken.lease.release()

    play(town, 1, scene)


def test_a_released_upload_is_had_again_by_the_same_replica_at_once(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        upload = fresh_upload()
        for _ in range(5):
            async with asyncio.timeout(town.settles_s):
                held = await replicas[0].acquire(upload)
            await held.lease.release()

    play(town, 1, scene)


def test_one_of_many_that_come_at_once_gets_the_upload(town: Town) -> None:
    async def scene(replicas: list[Replica]) -> None:
        upload = fresh_upload()
        claims = [asyncio.create_task(replica.acquire(upload)) for replica in replicas]
        fences: list[int] = []
        while claims:
            done, rest = await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            held = done.pop().result()
            claims = list(rest)
            fences.append(held.lease.fence)
            if claims:
                await held.asked.wait()
            await held.lease.release()
        assert fences == sorted(set(fences))

    play(town, 4, scene)
