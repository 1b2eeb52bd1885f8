"""The spooled store where the bucket fails, forgets or is slow, or the disk does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.errors import (
    NotStoredError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.flush import FlushPlan
from fileloft_fast.flush.found import SpoolFound
from fileloft_fast.model import UploadId
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.faults import Phase
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.memory import Bucket


ID: Final = UploadId("a" * 32)
RECORD: Final = f"{PREFIX}{ID}.info"
SIZES: Final = (0, 1, PART - 1, PART, PART + 1, 2 * PART, 5 * PART + 7)
FINISH: Final = FlushPlan()
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)
BOTH: Final = pytest.mark.parametrize("plan", [FINISH, SPOOL], ids=["finish", "spool"])

Act = Callable[[Spooled], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def play(root: Path, act: Act, plan: FlushPlan = FINISH, bucket: Bucket | None = None) -> None:
    async def scene() -> None:
        async with spooled(root, bucket, plan) as process:
            await act(process)

    asyncio.run(scene())


@pytest.mark.parametrize("size", [PART, 3 * PART])
def test_a_lost_answer_is_settled_by_a_look_at_the_object(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)

    async def act(process: Spooled) -> None:
        process.objects.faults.lose("put", key=ID)
        process.objects.faults.lose("complete")
        await process.create(ID, size)
        assert (await process.patch(ID, content)).complete
        assert process.content(ID) == content
        assert process.objects.faults.counts["head"] == 1
        await process.settled()

    play(tmp_path, act)


@pytest.mark.parametrize("size", [PART, 3 * PART])
def test_another_objects_place_is_left_to_it(tmp_path: Path, size: int) -> None:
    async def act(process: Spooled) -> None:
        await process.objects.put(PREFIX + ID, b"precious", Attributes())
        await process.create(ID, size)
        with process.hasty(), pytest.raises(NotStoredError):
            await process.patch(ID, bytes(size))
        assert process.content(ID) == b"precious"
        assert (await process.load(ID)).info.complete

    play(tmp_path, act)


def test_a_session_that_is_lost_before_it_holds_anything_is_opened_anew(tmp_path: Path) -> None:
    content = os.urandom(3 * PART)

    async def act(process: Spooled) -> None:
        gate = process.objects.faults.gate("put_part")
        await process.create(ID, len(content))
        writing = asyncio.ensure_future(process.patch(ID, content))
        await gate.reached.wait()
        process.bucket.drop_session()
        gate.open()
        assert (await writing).complete
        assert process.content(ID) == content

    play(tmp_path, act)


def test_an_upload_whose_parts_the_bucket_forgot_is_lost_and_not_found(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 3 * PART)
        await process.patch(ID, bytes(2 * PART))
        await until(lambda: process.shipment(ID).shipped_end == 2 * PART)
        process.bucket.drop_session()
        with pytest.raises(UploadNotFoundError):
            await process.patch(ID, bytes(PART))
        with pytest.raises(UploadNotFoundError):
            await process.load(ID)
        assert process.files(ID) == []
        assert process.bucket.objects == {}

    play(tmp_path, act)


@BOTH
def test_a_full_spool_holds_up_who_writes_until_parts_have_left(
    tmp_path: Path, plan: FlushPlan
) -> None:
    content = os.urandom(12 * PART)
    small = FlushPlan(ack=plan.ack, spool_max_bytes=4 * PART)

    async def act(process: Spooled) -> None:
        gate = process.objects.faults.gate("put_part")
        await process.create(ID, len(content))
        pieces = [content[at : at + PART // 2] for at in range(0, len(content), PART // 2)]
        writing = asyncio.ensure_future(process.patch(ID, *pieces))
        await gate.reached.wait()
        await asyncio.sleep(0.05)
        assert (tmp_path / ID).stat().st_size <= 4 * PART + PART // 2
        assert not writing.done()
        gate.open()
        assert (await writing).complete
        await process.settled()
        assert process.content(ID) == content

    play(tmp_path, act, small)


def test_a_writer_that_waits_for_room_can_be_interrupted(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        process.objects.faults.down = True
        await process.create(ID, 12 * PART)
        appender = await process.store.open(await process.load(ID))
        await appender.write(bytes(3 * PART))
        writing = asyncio.ensure_future(appender.write(bytes(PART)))
        await asyncio.sleep(0.01)
        appender.cancel()
        with pytest.raises(UploadLockedError):
            await writing
        await appender.keep()
        assert (await process.load(ID)).info.offset == 3 * PART

    play(tmp_path, act)


def test_a_writer_that_was_interrupted_between_two_pieces_waits_for_no_room(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        process.objects.faults.down = True
        await process.create(ID, 12 * PART)
        appender = await process.store.open(await process.load(ID))
        await appender.write(bytes(3 * PART))
        appender.cancel()
        with pytest.raises(UploadLockedError):
            await appender.write(bytes(PART))
        await appender.keep()
        assert (await process.load(ID)).info.offset == 3 * PART

    play(tmp_path, act)


def test_a_short_body_waits_for_room_no_longer_than_a_request_may(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        process.objects.faults.down = True
        await process.create(ID, 12 * PART)
        await process.patch(ID, bytes(3 * PART))
        with process.hasty(), pytest.raises(NotStoredError):
            await process.store.append(await process.load(ID), bytes(10))
        assert (await process.load(ID)).info.offset == 3 * PART

    play(tmp_path, act)


def test_what_a_failing_disk_takes_back_is_never_what_has_left(tmp_path: Path) -> None:
    content = os.urandom(6 * PART)

    async def act(process: Spooled) -> None:
        await process.create(ID, len(content))
        found = await process.load(ID)
        assert isinstance(found, SpoolFound)
        appender = await process.store.open(found)
        gate = process.objects.faults.gate("put_part")
        await appender.write(content[: 2 * PART])
        await gate.reached.wait()
        gate.open()
        await until(lambda: process.shipment(ID).shipped_end == 2 * PART)
        again = process.objects.faults.gate("put_part")
        await appender.write(content[2 * PART : 5 * PART])
        await again.reached.wait()
        await appender.keep()
        await process.spool.truncate(found.local)  # as it does where a sync has failed
        assert (await process.load(ID)).info.offset == 2 * PART
        assert process.shipment(ID).ready == 2 * PART
        again.open()
        await process.patch(ID, content[2 * PART :])
        await process.settled()
        assert process.content(ID) == content

    play(tmp_path, act)


def test_completing_waits_for_answers_that_are_still_out(tmp_path: Path) -> None:
    content = os.urandom(3 * PART)

    async def act(process: Spooled) -> None:
        gate = process.objects.faults.gate("put_part", phase=Phase.AFTER)
        await process.create(ID, len(content))
        writing = asyncio.ensure_future(process.patch(ID, content))
        await gate.reached.wait()
        await asyncio.sleep(0.01)
        assert process.objects.faults.counts["complete"] == 0
        gate.open()
        assert (await writing).complete

    play(tmp_path, act)
