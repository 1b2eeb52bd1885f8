"""The end of a request in chunk mode: few tails, one winner, and a lost answer that is found."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import (
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.flush.checkpoint import Checkpoints, Version, check_record, plan_tails
from fileloft_fast.flush.course import Course
from fileloft_fast.flush.patience import Patience
from fileloft_fast.flush.record import Record, Tail, record_key
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Attributes, Piece, Receipt
from tests.stores.memory import MemoryObjects, crc32c_of

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
KEY: Final = record_key("p/", ID)
_T = TypeVar("_T")


def record_of(offset: int = 0, **fields: Any) -> Record:
    return Record(info=UploadInfo(id=ID, offset=Offset(offset), length=None), **fields)


def patience(limit_s: float = 5.0) -> Patience:
    return Patience(limit_s, backoff=Backoff(first_s=0.001, cap_s=0.002))


def checkpoints_of(objects: MemoryObjects) -> Checkpoints:
    return Checkpoints(objects, "p/", clock=lambda: 7.0)


def run(work: Coroutine[Any, Any, _T]) -> _T:
    return asyncio.run(asyncio.wait_for(work, 60))


async def first_version(objects: MemoryObjects) -> Version:
    return await checkpoints_of(objects).write(Version(record_of(), None), record_of())


# -- tails --------------------------------------------------------------------------------------


def put_after(tails: tuple[Tail, ...], offset: int, most: int) -> tuple[tuple[Tail, ...], int]:
    """Return the tails after a request that ended at *offset*, and how many bytes were put."""
    kept, cuts = plan_tails(tails, 0, offset, most)
    new = tuple(Tail("key", start, end - start, 0) for start, end in cuts)
    assert all(0 < tail.size <= most for tail in new)
    check_record(record_of(offset, tails=kept + new))
    return kept + new, sum(tail.size for tail in new)


@given(st.lists(st.integers(1, 64 * 1024), min_size=1, max_size=200), st.integers(1000, 10**6))
def test_tails_join_without_a_gap_and_stay_few(sizes: list[int], most: int) -> None:
    tails: tuple[Tail, ...] = ()
    offset = 0
    for size in sizes:
        offset += size
        tails, _ = put_after(tails, offset, most)
        # Of two that follow each other one is half of the other, or they are more than fits one.
        assert len(tails) <= 2 + 2 * offset // most + offset.bit_length()


def test_a_thousand_small_requests_put_each_byte_a_logarithmic_number_of_times() -> None:
    tails: tuple[Tail, ...] = ()
    total = 0
    for offset in range(4096, 4096 * 1024 + 1, 4096):
        tails, put = put_after(tails, offset, 2**30)
        total += put
    assert total <= 12 * 4096 * 1024  # a single tail would be put again each time: 512-fold


def test_requests_that_shrink_do_not_make_ever_more_tails() -> None:
    tails: tuple[Tail, ...] = ()
    offset = 0
    for size in range(2000, 0, -1):
        offset += size
        tails, _ = put_after(tails, offset, 2**30)
        assert len(tails) <= offset.bit_length()


def test_what_is_large_is_put_in_pieces_and_not_again() -> None:
    tails, put = put_after((), 1050, 100)
    assert [tail.size for tail in tails] == [100] * 10 + [50]
    more, put = put_after(tails, 1070, 100)
    assert put == 20
    assert [tail.size for tail in more[-2:]] == [50, 20]
    assert put_after(more, 1250, 100)[1] == 180


def test_tails_that_went_into_parts_are_named_no_longer() -> None:
    tails = (Tail("a", 100, 60, 0), Tail("b", 160, 20, 0))
    assert plan_tails(tails, 200, 210, 1000) == ((), [(200, 210)])


def test_where_nothing_came_the_tails_stay_as_they_are() -> None:
    tails = (Tail("a", 100, 60, 0), Tail("b", 160, 20, 0))
    assert plan_tails(tails, 100, 180, 1000) == (tails, [])


def test_a_tail_behind_the_offset_is_not_kept() -> None:
    assert plan_tails((Tail("a", 0, 60, 0),), 0, 50, 1000) == ((), [(0, 50)])


@pytest.mark.parametrize(
    "record",
    [
        record_of(5),
        record_of(5, tails=(Tail("a", 1, 4, 0),)),
        record_of(9, receipts=(Receipt(1, 4, "", 0),), tails=(Tail("a", 0, 5, 0),)),
    ],
)
def test_a_record_whose_parts_and_tails_are_not_its_bytes_is_refused(record: Record) -> None:
    with pytest.raises(StoreError, match="names"):
        check_record(record)


# -- the record ---------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written_and_a_foreign_one_is_none() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        checkpoints = checkpoints_of(objects)
        assert await checkpoints.read(ID) is None
        written = await checkpoints.write(Version(record_of(), None), record_of())
        assert await checkpoints.read(ID) == written
        await objects.put(KEY, b'{"ID":"tusd"}', Attributes())
        assert await checkpoints.read(ID) is None

    run(work())


def test_of_two_writers_who_read_the_same_version_one_is_told_that_it_is_locked() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        before = await first_version(objects)
        one, two = checkpoints_of(objects), checkpoints_of(MemoryObjects(objects.bucket))
        won = await one.write(before, before.record.renewed(session="one"))
        with pytest.raises(UploadLockedError):
            await two.write(before, before.record.renewed(session="two"))
        assert await two.read(ID) == won

    run(work())


def test_a_write_whose_answer_was_lost_has_won_when_it_is_tried_again() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        before = await first_version(objects)
        checkpoints, record = checkpoints_of(objects), before.record.renewed()
        objects.faults.lose("put", key=".info", times=2)
        after = await patience().insist(lambda: checkpoints.write(before, record))
        assert after == await checkpoints.read(ID)
        assert after.tag != before.tag

    run(work())


def test_a_write_whose_answer_was_lost_and_that_another_one_followed_is_told_as_locked() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        before = await first_version(objects)
        checkpoints, record = checkpoints_of(objects), before.record.renewed()
        objects.faults.lose("put", key=".info")
        with pytest.raises(RemoteUnavailableError):
            await checkpoints.write(before, record)
        read = await checkpoints.read(ID)
        assert read is not None
        await checkpoints.write(read, read.record.renewed())
        with pytest.raises(UploadLockedError):
            await checkpoints.write(before, record)

    run(work())


@pytest.mark.parametrize("offsets", [(5, 5), (5, 9)])
def test_a_write_goes_over_an_earlier_one_of_the_same_request_whose_answer_was_lost(
    offsets: tuple[int, int],
) -> None:
    async def work() -> None:
        objects = MemoryObjects()
        course = Course(checkpoints_of(objects), await first_version(objects))
        for offset in offsets[:1]:
            objects.faults.lose("put", key=".info")
            with pytest.raises(RemoteUnavailableError):
                await course.write(info=record_of(offset).info)
        await course.write(info=record_of(offsets[1]).info)
        assert course.record.info.offset == offsets[1]
        assert await checkpoints_of(objects).read(ID) == course.version

    run(work())


def test_an_offset_never_goes_back() -> None:
    async def work() -> None:
        course = Course(checkpoints_of(MemoryObjects()), Version(record_of(5), None))
        with pytest.raises(AssertionError):
            await course.write(info=record_of(4).info)

    run(work())


def test_tails_that_a_record_no_longer_names_are_told_once_it_is_written() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        old, new = Tail("old", 0, 5, 0), Tail("new", 5, 1, 0)
        course = Course(checkpoints_of(objects), Version(record_of(5, tails=(old,)), None))
        objects.faults.refuse("put")
        with pytest.raises(RemoteUnavailableError):
            await course.write(info=record_of(6).info, tails=(new,))
        assert course.take_outdated() == []
        await course.write(info=record_of(6).info, tails=(new,))
        assert course.take_outdated() == [old]
        assert course.take_outdated() == []

    run(work())


def test_a_write_to_an_upload_that_was_removed_finds_nothing() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        before = await first_version(objects)
        await objects.delete(KEY)
        with pytest.raises(UploadNotFoundError):
            await checkpoints_of(objects).write(before, before.record.renewed())

    run(work())


# -- patience -----------------------------------------------------------------------------------


def test_a_store_that_does_not_answer_is_an_error_when_the_time_is_over() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        before = await first_version(objects)
        checkpoints = checkpoints_of(objects)
        objects.faults.down = True
        with pytest.raises(RemoteUnavailableError):
            await patience(0.05).insist(lambda: checkpoints.write(before, before.record.renewed()))
        with pytest.raises(RemoteUnavailableError):
            await checkpoints.read(ID)
        objects.faults.down = False
        objects.faults.gate("put")
        with pytest.raises(RemoteUnavailableError, match="in time"):
            await patience(0.05).insist(lambda: checkpoints.write(before, before.record.renewed()))
        assert await checkpoints.read(ID) == before

    run(work())


def test_a_refusal_is_tried_again_until_the_credentials_are_mended() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        objects.faults.refuse("head", times=3, error=RemoteRefusedError("403"))
        assert await patience().insist(lambda: objects.head("key")) is None
        objects.faults.refuse("head", times=1000, error=RemoteRefusedError("403"))
        with pytest.raises(RemoteRefusedError):
            await patience(0.05).insist(lambda: objects.head("key"))

    run(work())


def test_a_failure_that_time_does_not_mend_is_told_at_once() -> None:
    async def work() -> None:
        objects = MemoryObjects()
        objects.faults.refuse("head", error=SessionLostError("gone"))
        with pytest.raises(SessionLostError):
            await patience().insist(lambda: objects.head("key"))
        assert objects.faults.counts["head"] == 1

    run(work())


def test_a_timeout_of_the_attempt_itself_is_not_mistaken_for_the_end_of_patience() -> None:
    async def attempt() -> None:
        raise TimeoutError

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await patience().insist(attempt)

    run(work())


def test_an_attempt_may_take_as_long_as_bytes_move() -> None:
    async def work() -> None:
        loop, moved = asyncio.get_running_loop(), 0

        async def slow() -> str:
            nonlocal moved
            for _ in range(10):
                await asyncio.sleep(0.02)
                moved += 1
            return "done"

        started = loop.time()
        assert await Patience(0.1, moved=lambda: moved).insist(slow) == "done"
        assert loop.time() - started > 0.15
        with pytest.raises(RemoteUnavailableError, match="in time"):
            await Patience(0.1, moved=lambda: 0).insist(slow)

    run(work())


def test_bytes_that_are_taken_to_be_refused_move_nothing() -> None:
    async def work() -> None:
        moved = 0

        async def refused() -> None:
            nonlocal moved
            moved += 1
            raise RemoteRefusedError("403")

        backoff = Backoff(first_s=0.01, cap_s=0.01)
        with pytest.raises(RemoteRefusedError):
            await Patience(0.1, moved=lambda: moved, backoff=backoff).insist(refused)

    run(work())


def test_who_is_cancelled_leaves_no_attempt_behind() -> None:
    async def work() -> None:
        ended = asyncio.Event()

        async def attempt() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        insisting = asyncio.create_task(patience().insist(attempt))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        insisting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await insisting
        assert ended.is_set()

    run(work())


# -- tails in the store -------------------------------------------------------------------------


def test_a_tail_is_put_with_its_place_and_checksum_and_dropped_again(tmp_path: Path) -> None:
    async def work() -> None:
        objects = MemoryObjects()
        checkpoints = checkpoints_of(objects)
        (tmp_path / "data").write_bytes(b"...hello")
        descriptor = os.open(tmp_path / "data", os.O_RDONLY)
        try:
            tail = await checkpoints.put_tail(ID, Piece(descriptor, 3, 5, crc32c_of(b"hello")))
        finally:
            os.close(descriptor)
        assert (tail.start, tail.size, tail.crc32c) == (3, 5, crc32c_of(b"hello"))
        assert objects.objects[tail.key].content == b"hello"
        assert tail.key.startswith(f"p/{ID}.tail-00000007")
        objects.faults.refuse("delete")
        await checkpoints.drop((tail,))
        assert list(objects.objects) == [tail.key]
        await checkpoints.drop((tail,))
        assert not objects.objects

    run(work())
