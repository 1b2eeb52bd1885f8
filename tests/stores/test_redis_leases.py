"""Leases in a real Redis: messages, restarts, outages, and what is left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import uvloop

from fileloft_fast.errors import LockServiceError, UploadLockedError
from fileloft_fast.uploads.leases.redis import RedisLeases
from fileloft_fast.uploads.leases.table import Granted
from tests.stores.redis_server import RedisServer
from tests.stores.replicas import Replica, fresh_upload, until

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE_S = 60.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


@asynccontextmanager
async def replica(server: RedisServer, ttl_s: float = 10.0) -> AsyncIterator[RedisReplica]:
    leases = RedisLeases(server.url, ttl_s)
    await leases.start()
    try:
        yield RedisReplica(leases, server.kill)
    finally:
        await leases.close()


class RedisReplica(Replica):
    leases: RedisLeases


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def played() -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await scene()

    uvloop.run(played())


def test_an_upload_changes_hands_within_fifty_milliseconds(redis: RedisServer) -> None:
    async def scene() -> None:
        upload, loop, spent = fresh_upload(), asyncio.get_running_loop(), []
        async with replica(redis) as first, replica(redis) as second:
            here, there = first, second
            held = await here.acquire(upload)
            for _ in range(21):
                asked_at = loop.time()
                waiting = asyncio.create_task(there.acquire(upload))
                await held.asked.wait()
                await held.lease.release()
                held = await waiting
                spent.append(loop.time() - asked_at)
                here, there = there, here
            await held.lease.release()
        assert sorted(spent)[10] < 0.05

    play(scene)


def test_who_waits_longest_is_next(redis: RedisServer) -> None:
    async def scene() -> None:
        upload, order = fresh_upload(), list[int]()
        async with (
            replica(redis) as first,
            replica(redis) as second,
            replica(redis) as third,
        ):
            held = await first.acquire(upload)

            async def claim(number: int, where: RedisReplica) -> None:
                got = await where.acquire(upload)
                order.append(number)
                await got.lease.release()

            claims = []
            for number, where in enumerate((third, second, first)):
                claims.append(asyncio.create_task(claim(number, where)))
                await until(lambda: _waiting(redis, upload) == len(claims))
            await held.lease.release()
            await asyncio.gather(*claims)
        assert order == [0, 1, 2]

    play(scene)


def test_nobody_overtakes_the_one_whose_turn_it_is(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis) as here:
            table = here.leases.table
            assert isinstance(await table.acquire(upload, "a:1"), Granted)
            assert not isinstance(await table.acquire(upload, "b:1"), Granted)
            await table.release(upload, "a:1")
            assert not isinstance(await table.acquire(upload, "c:1"), Granted)
            granted = await table.acquire(upload, "b:1")
            assert isinstance(granted, Granted)
            assert granted.wanted

    play(scene)


def test_a_place_in_the_line_that_was_given_up_is_given_to_the_next(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis) as here:
            table = here.leases.table
            for token in ("a:1", "b:1", "c:1"):
                await table.acquire(upload, token)
            await table.release(upload, "a:1")  # reserved for b
            await table.release(upload, "b:1")  # which is gone
            assert isinstance(await table.acquire(upload, "c:1"), Granted)

    play(scene)


def test_a_claim_whose_answer_got_lost_finds_itself_the_holder(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis) as here:
            first = await here.leases.table.acquire(upload, "a:1")
            assert await here.leases.table.acquire(upload, "a:1") == first

    play(scene)


def test_a_renewal_that_comes_after_the_release_takes_nothing(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis) as here:
            table = here.leases.table
            granted = await table.acquire(upload, "a:1")
            assert isinstance(granted, Granted)
            await table.release(upload, "a:1")
            assert not (await table.renew(upload, "a:1", granted.fence)).held
            assert isinstance(await table.acquire(upload, "b:1"), Granted)

    play(scene)


def test_a_lease_changes_hands_without_messages_too(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis, ttl_s=1.0) as here:
            deaf = RedisLeases(redis.url, 1.0)  # never started: it hears nothing
            there = RedisReplica(deaf, redis.kill)
            held = await there.acquire(upload)
            waiting = asyncio.create_task(here.acquire(upload))
            await held.asked.wait()  # told by the answer to a renewal
            await held.lease.release()
            taken = await waiting
            waiting = asyncio.create_task(there.acquire(upload))
            await taken.asked.wait()
            await taken.lease.release()
            held = await waiting
            await held.lease.release()
            await deaf.close()

    play(scene)


def test_every_key_expires(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis) as here, replica(redis) as there:
            held = await here.acquire(upload)
            with pytest.raises(UploadLockedError):
                await there.acquire(upload, timeout_s=0.2)
            waiting = asyncio.create_task(there.acquire(upload))
            await until(lambda: _waiting(redis, upload))
            for name in ("lock", "fence", "wait"):
                assert int(redis.command("TTL", f"{{tus:{upload}}}:{name}")[1:]) > 0
            await held.lease.release()
            taken = await waiting
            await taken.lease.release()
        keys = redis.command("KEYS", "*")
        assert keys.startswith(b"*1\r\n"), keys
        assert int(redis.command("TTL", f"{{tus:{upload}}}:fence")[1:]) > 0

    play(scene)


def test_a_redis_that_forgot_everything_learns_from_the_holders(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis, ttl_s=20.0) as here:
            held = await here.acquire(upload)
            redis.kill()
            redis.restart()
            await until(lambda: redis.command("GET", f"{{tus:{upload}}}:lock") != b"$-1\r\n")
            async with replica(redis) as there:
                waiting = asyncio.create_task(there.acquire(upload))
                await held.asked.wait()
                assert not held.lease.lost
                await held.lease.release()
                taken = await waiting
                assert taken.lease.fence > held.lease.fence
                await taken.lease.release()

    play(scene)


def test_who_took_an_upload_that_redis_forgot_keeps_it(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis, ttl_s=9.0) as here:
            held = await here.acquire(upload)
            redis.kill()
            redis.restart()
            # Before the holder is back: as another replica would, whatever comes first.
            redis.command("SET", f"{{tus:{upload}}}:lock", "x:1", "PX", "20000")
            redis.command("SET", f"{{tus:{upload}}}:fence", "7", "EX", "20")
            async with asyncio.timeout(5):  # long before its own time is over
                await held.lost.wait()
            assert held.lease.lost

    play(scene)


@pytest.mark.slow
def test_an_outage_shorter_than_the_lease_disturbs_no_holder(redis: RedisServer) -> None:
    async def scene() -> None:
        upload = fresh_upload()
        async with replica(redis, ttl_s=5.0) as here:
            held = await here.acquire(upload)
            redis.kill()
            with pytest.raises(LockServiceError):
                await here.acquire(fresh_upload())
            redis.restart()
            await asyncio.sleep(6.0)  # longer than the lease would have lasted
            assert not held.lease.lost
            await held.lease.release()
            again = await here.acquire(upload)
            await again.lease.release()

    play(scene)


def test_a_holder_stops_when_redis_is_gone_for_longer_than_its_lease(redis: RedisServer) -> None:
    async def scene() -> None:
        upload, loop = fresh_upload(), asyncio.get_running_loop()
        async with replica(redis, ttl_s=3.0) as here:
            held = await here.acquire(upload)
            redis.kill()
            killed_at = loop.time()
            await held.lost.wait()
            assert loop.time() - killed_at < 3.0
            await held.lease.release()
            redis.restart()
            again = await here.acquire(upload)
            await again.lease.release()

    play(scene)


def test_a_redis_that_answers_nothing_is_an_error_within_seconds(redis: RedisServer) -> None:
    async def scene() -> None:
        upload, loop = fresh_upload(), asyncio.get_running_loop()
        async with replica(redis, ttl_s=30.0) as here:
            held = await here.acquire(upload)
            redis.pause()
            asked_at = loop.time()
            with pytest.raises(LockServiceError):
                await here.acquire(fresh_upload())
            assert loop.time() - asked_at < 4
            await held.lease.release()  # does not wait for it either
            assert loop.time() - asked_at < 5
            redis.resume()
            await until(lambda: redis.command("GET", f"{{tus:{upload}}}:lock") == b"$-1\r\n")

    play(scene)


def test_a_server_that_starts_before_its_redis_serves_once_it_is_there(redis: RedisServer) -> None:
    async def scene() -> None:
        redis.kill()
        async with replica(redis) as here:
            with pytest.raises(LockServiceError):
                await here.acquire(fresh_upload())
            redis.restart()
            held = await here.acquire(fresh_upload())
            await held.lease.release()

    play(scene)


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "fileloft_fast")

    async def scene() -> None:
        async with replica(redis) as here:
            held = await here.acquire(fresh_upload())
            await held.lease.release()
            redis.kill()
            for _ in range(3):
                with pytest.raises(LockServiceError):
                    await here.acquire(fresh_upload())
            await until(lambda: "messages through redis: lost" in caplog.messages)
            redis.restart()
            await until(lambda: "messages through redis: back" in caplog.messages)
            for _ in range(2):
                held = await here.acquire(fresh_upload())
                await held.lease.release()

    play(scene)
    assert sorted(caplog.messages) == [
        "locks in redis: back",
        "locks in redis: lost",
        "messages through redis: back",
        "messages through redis: lost",
    ]


def _waiting(server: RedisServer, upload: str) -> int:
    """Return how many claims stand in line."""
    return int(server.command("ZCARD", f"{{tus:{upload}}}:wait")[1:])
