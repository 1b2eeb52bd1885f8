"""Leases on an object store: what is written and when, and answers that get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
import uvloop

from fileloft_fast.errors import LockServiceError, RemoteRefusedError, UploadLockedError
from fileloft_fast.stores.remote.objects import Attributes
from fileloft_fast.uploads.leases import ObjectLeases
from fileloft_fast.uploads.leases.documents import Document
from tests.stores.memory import Bucket, MemoryObjects
from tests.stores.replicas import LEASE_TTL_S, Replica, fresh_upload, until

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId

_PATIENCE_S: Final = 30.0


@asynccontextmanager
async def site(
    bucket: Bucket, ttl_s: float = LEASE_TTL_S
) -> AsyncIterator[tuple[Replica, MemoryObjects]]:
    objects = MemoryObjects(bucket)
    leases = ObjectLeases(objects, "some/", ttl_s)
    try:
        yield Replica(leases, lambda: None), objects
    finally:
        await leases.close()


def play(scene: Callable[[Bucket], Awaitable[None]]) -> None:
    bucket = Bucket()

    async def played() -> None:
        async with asyncio.timeout(_PATIENCE_S):
            await scene(bucket)

    uvloop.run(played())


def document(bucket: Bucket, upload: UploadId) -> Document:
    """Return the lease as it stands in the bucket."""
    return msgspec.json.decode(bucket.objects[f"some/{upload}.lock"].content, type=Document)


def test_the_next_request_at_the_same_replica_costs_no_call() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket) as (here, objects):
            for _ in range(3):
                held = await here.acquire(upload)
                await held.lease.release()
            assert objects.faults.counts == {"fetch": 1, "put": 1}

    play(scene)


def test_a_lease_that_nobody_uses_is_given_up_soon() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket) as (here, objects):
            held = await here.acquire(upload)
            await held.lease.release()
            assert document(bucket, upload).held
            await until(lambda: not document(bucket, upload).held)
            assert not objects.faults.counts["delete"]

    play(scene)


def test_a_lease_that_nobody_uses_is_given_up_at_once_to_who_asks() -> None:
    async def scene(bucket: Bucket) -> None:
        upload, loop = fresh_upload(), asyncio.get_running_loop()
        async with site(bucket, 12.0) as (here, _), site(bucket, 12.0) as (there, _objects):
            held = await here.acquire(upload)
            await held.lease.release()
            asked_at = loop.time()
            taken = await there.acquire(upload)
            assert loop.time() - asked_at < 3.5  # it would have been kept for four seconds
            assert not held.asked.is_set()
            await taken.lease.release()

    play(scene)


def test_an_upload_that_wanders_is_not_kept() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket, 12.0) as (here, _), site(bucket, 12.0) as (there, _objects):
            held = await here.acquire(upload)
            await held.lease.release()
            for where in (there, here, there):
                held = await where.acquire(upload)
                await held.lease.release()
                await until(lambda: not document(bucket, upload).held, within_s=3.5)

    play(scene)


def test_a_lease_that_was_asked_for_is_not_taken_up_again() -> None:
    async def scene(bucket: Bucket) -> None:
        upload, order = fresh_upload(), list[str]()
        async with site(bucket) as (here, _), site(bucket) as (there, _objects):
            held = await here.acquire(upload)
            waiting = asyncio.create_task(there.acquire(upload))
            await held.asked.wait()
            await held.lease.release()

            async def again() -> None:
                got = await here.acquire(upload)
                order.append("again")
                await got.lease.release()

            coming_back = asyncio.create_task(again())
            taken = await waiting
            order.append("waiting")
            await taken.lease.release()
            await coming_back
        assert order == ["waiting", "again"]

    play(scene)


def test_a_holder_that_was_asked_goes_on_renewing() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket) as (here, _), site(bucket) as (there, _objects):
            held = await here.acquire(upload)
            with pytest.raises(UploadLockedError):
                await there.acquire(upload, timeout_s=2 * LEASE_TTL_S)
            assert not held.lease.lost
            assert document(bucket, upload).asked
            await held.lease.release()

    play(scene)


@pytest.mark.parametrize("fault", ["lose", "refuse"])
def test_a_write_without_an_answer_is_looked_up(fault: str) -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket) as (here, objects):
            getattr(objects.faults, fault)("put")
            # not only once it has ended
            held = await here.acquire(upload, timeout_s=LEASE_TTL_S / 2)
            getattr(objects.faults, fault)("put", times=2)
            before = document(bucket, upload).nonce
            await until(lambda: objects.faults.counts["put"] >= 5)
            await until(lambda: document(bucket, upload).nonce != before)
            assert not held.lease.lost
            await held.lease.release()

    play(scene)


def test_a_release_without_an_answer_is_tried_again() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket) as (here, objects):
            held = await here.acquire(upload)
            objects.faults.refuse("put", times=2)
        assert not document(bucket, upload).held
        assert not held.lost.is_set()

    play(scene)


def test_an_end_is_seen_by_patience_alone_even_over_several_requests() -> None:
    async def scene(bucket: Bucket) -> None:
        upload, loop = fresh_upload(), asyncio.get_running_loop()
        gone = Document(owner="gone", fence=41, ttl=1.0, nonce="n")
        bucket.store(f"some/{upload}.lock", msgspec.json.encode(gone), Attributes(), None)
        async with site(bucket) as (here, _):
            seen_at = loop.time()
            for _ in range(3):
                with pytest.raises(UploadLockedError):
                    await here.acquire(upload, timeout_s=0.3)
            held = await here.acquire(upload, timeout_s=0.5)
            assert loop.time() - seen_at >= 1.0
            assert held.lease.fence == 42
            await held.lease.release()

    play(scene)


def test_who_was_promised_the_upload_and_does_not_come_is_waited_for_a_moment_only() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        promised = Document(owner="a", fence=1, ttl=60, nonce="n", held=False, asked="gone")
        bucket.store(f"some/{upload}.lock", msgspec.json.encode(promised), Attributes(), None)
        async with site(bucket) as (here, _), asyncio.timeout(20):
            held = await here.acquire(upload)
            await held.lease.release()

    play(scene)


def test_a_claim_that_is_cancelled_in_its_write_leaves_no_lease_behind() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        async with site(bucket) as (here, objects):
            gate = objects.faults.gate("put")
            claim = asyncio.create_task(here.acquire(upload))
            await gate.reached.wait()
            claim.cancel()
            with pytest.raises(asyncio.CancelledError):
                await claim
            gate.open()
            await until(lambda: objects.objects)
            await until(lambda: not document(bucket, upload).held)

    play(scene)


def test_a_lease_whose_object_is_replaced_or_deleted_is_lost() -> None:
    async def scene(bucket: Bucket) -> None:
        async with site(bucket, 4.0) as (here, _):
            for is_deleted in (True, False):
                upload = fresh_upload()
                held = await here.acquire(upload)
                if is_deleted:
                    del bucket.objects[f"some/{upload}.lock"]
                else:
                    other = Document(owner="other", fence=9, ttl=60, nonce="n")
                    content = msgspec.json.encode(other)
                    bucket.store(f"some/{upload}.lock", content, Attributes(), None)
                async with asyncio.timeout(3.0):  # before it would be over by itself
                    await held.lost.wait()
                assert held.lease.lost
                await held.lease.release()

    play(scene)


def test_a_store_that_refuses_is_an_error_at_once() -> None:
    async def scene(bucket: Bucket) -> None:
        async with site(bucket) as (here, objects), asyncio.timeout(10):
            objects.faults.refuse("put", error=RemoteRefusedError("403"))
            with pytest.raises(LockServiceError):
                await here.acquire(fresh_upload())

    play(scene)


def test_what_is_no_lease_is_left_alone() -> None:
    async def scene(bucket: Bucket) -> None:
        upload = fresh_upload()
        bucket.store(f"some/{upload}.lock", b"something else", Attributes(), None)
        async with site(bucket) as (here, _):
            with pytest.raises(LockServiceError):
                await here.acquire(upload)
        assert bucket.objects[f"some/{upload}.lock"].content == b"something else"

    play(scene)
