"""The spooled store: where bytes are at every stage, and what is told of them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.dataplane import SYNC_NAME
from fileloft_fast.errors import (
    NotStoredError,
    RemoteUnavailableError,
    TooLargeError,
    UploadNotFoundError,
)
from fileloft_fast.flush import FlushPlan
from fileloft_fast.flush.record import Record, RecordState, parse_record, render_record
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.dataplane import Engine
    from fileloft_fast.stores.remote.objects import Limits

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


@BOTH
@pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
@pytest.mark.parametrize("size", SIZES)
def test_a_finished_upload_becomes_an_object_and_leaves_the_spool(
    tmp_path: Path, size: int, limits: Limits, plan: FlushPlan
) -> None:
    content = os.urandom(size)

    async def act(process: Spooled) -> None:
        await process.create(ID, size)
        if size:
            assert (await process.patch(ID, content)).complete
        if plan is FINISH:
            assert process.content(ID) == content
        await process.settled()
        assert process.content(ID) == content
        assert process.bucket.sessions == {}
        assert set(process.bucket.objects) == {PREFIX + ID, RECORD}
        assert process.files(ID) == []
        info = await process.head(ID)
        assert (info.complete, info.offset) == (True, size)
        assert await process.get(ID) == content

    play(tmp_path, act, plan, Bucket(limits))


def test_parts_leave_while_the_body_arrives_and_so_do_their_blocks(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 20 * PART)
        appender = await process.store.open(await process.load(ID))
        for _ in range(6):
            await appender.write(os.urandom(PART))
        shipment = process.shipment(ID)
        await until(lambda: shipment.punched_to == 6 * PART)
        await until(lambda: (tmp_path / ID).stat().st_blocks == 0)  # the last hole is being made
        assert (tmp_path / ID).stat().st_size == 6 * PART
        assert (await process.load(ID)).info.offset == 6 * PART
        await appender.keep()

    play(tmp_path, act)


def test_nothing_of_a_checked_body_leaves_before_it_is_verified(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 20 * PART)
        appender = await process.store.open(await process.load(ID), checked=True)
        for _ in range(6):
            await appender.write(os.urandom(PART))
        await asyncio.sleep(0.02)
        assert process.objects.faults.calls == []
        await appender.commit()
        await until(lambda: process.shipment(ID).shipped_end == 6 * PART)

    play(tmp_path, act)


def test_nothing_of_a_body_that_was_discarded_ever_leaves(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 3 * PART)
        appender = await process.store.open(await process.load(ID), checked=True)
        await appender.write(bytes(3 * PART))
        await appender.discard()
        assert process.flusher.shipments == {}
        content = os.urandom(3 * PART)
        await process.patch(ID, content, checked=True)
        assert process.content(ID) == content

    play(tmp_path, act)


def test_an_unfinished_upload_below_a_part_costs_the_store_nothing(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 10 * PART)
        await process.patch(ID, bytes(PART - 1))
        assert process.flusher.shipments == {}
        assert process.objects.faults.calls == []

    play(tmp_path, act)


def test_what_fits_one_part_is_one_request_before_the_answer(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, PART)
        gate = process.objects.faults.gate(key=RECORD)
        await process.patch(ID, bytes(PART))
        assert process.objects.faults.counts.keys() == {"put"}
        assert set(process.bucket.objects) == {PREFIX + ID}
        gate.open()
        await process.settled()

    play(tmp_path, act)


def test_the_record_claims_a_session_before_it_is_opened(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        gate = process.objects.faults.gate("create")
        await process.create(ID, 2 * PART)
        appender = await process.store.open(await process.load(ID))
        await appender.write(bytes(PART))
        await gate.reached.wait()
        record = parse_record(process.bucket.objects[RECORD].content, ID)
        assert record is not None
        assert record.state is RecordState.OPEN
        assert record.owner == (tmp_path / "spool.id").read_text(encoding="ascii")
        gate.open()
        await appender.keep()

    play(tmp_path, act)


def test_in_finish_mode_no_answer_says_finished_before_the_bucket_has_it(tmp_path: Path) -> None:
    content = os.urandom(2 * PART + 1)

    async def act(process: Spooled) -> None:
        await process.create(ID, len(content))
        process.objects.faults.down = True
        with process.hasty(), pytest.raises(NotStoredError):
            await process.patch(ID, content)
        assert (await process.load(ID)).info.complete
        with process.hasty(), pytest.raises(NotStoredError):
            await process.head(ID)
        with process.hasty(), pytest.raises(NotStoredError):
            await process.patch(ID)
        process.objects.faults.down = False
        assert (await process.head(ID)).complete
        assert process.content(ID) == content

    play(tmp_path, act)


def test_in_spool_mode_the_answer_does_not_wait_for_the_bucket(tmp_path: Path) -> None:
    content = os.urandom(2 * PART + 1)

    async def act(process: Spooled) -> None:
        process.objects.faults.down = True
        await process.create(ID, len(content))
        assert (await process.patch(ID, content)).complete
        assert (await process.head(ID)).complete
        process.objects.faults.down = False
        await process.settled()
        assert process.content(ID) == content

    play(tmp_path, act, SPOOL)


def test_a_length_that_makes_the_upload_complete_ships_it(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, None)
        await process.patch(ID, b"hello")
        found = await process.store.declare(await process.load(ID), 5)
        assert (await process.store.append(found, b"")).complete
        assert process.content(ID) == b"hello"

    play(tmp_path, act)


def test_an_upload_with_a_body_is_there_or_not_at_all(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 5, b"hello")
        assert process.content(ID) == b"hello"
        await process.settled()
        other = UploadId("b" * 32)
        process.objects.faults.refuse("put", times=99)
        with process.hasty(), pytest.raises(NotStoredError):
            await process.create(other, 5, b"hello")
        process.objects.faults.clear()
        await process.settled()
        with pytest.raises(UploadNotFoundError):
            await process.load(other)
        assert process.content(other) is None

    play(tmp_path, act)


def test_what_the_bucket_cannot_hold_is_refused_at_once(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        with pytest.raises(TooLargeError):
            await process.create(ID, PARALLEL.largest_object + 1)
        await process.create(ID, None)
        with pytest.raises(TooLargeError):
            await process.store.declare(await process.load(ID), PARALLEL.largest_object + 1)

    play(tmp_path, act)


def test_an_upload_that_the_bucket_may_have_is_never_not_found(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 5, b"hello")
        await process.settled()
        process.objects.faults.down = True
        with pytest.raises(RemoteUnavailableError):
            await process.load(ID)
        process.objects.faults.down = False
        with pytest.raises(UploadNotFoundError):
            await process.load(UploadId("b" * 32))

    play(tmp_path, act)


@pytest.mark.parametrize("owner", ["another", ""])
def test_an_unfinished_upload_of_another_spool_is_not_found(tmp_path: Path, owner: str) -> None:
    async def act(process: Spooled) -> None:
        info = UploadInfo(id=ID, offset=Offset(5), length=10)
        record = Record(info=info, owner=owner)
        await process.objects.put(RECORD, render_record(record), Attributes())
        with pytest.raises(UploadNotFoundError):
            await process.load(ID)

    play(tmp_path, act)


def test_an_upload_that_left_while_it_was_looked_at_takes_an_empty_request(
    tmp_path: Path,
) -> None:
    async def act(process: Spooled) -> None:
        gate = process.objects.faults.gate("put", key=RECORD)
        await process.create(ID, 5, b"hello")
        found = await process.load(ID)
        gate.open()
        await process.settled()
        await process.store.confirm(found)
        assert (await process.store.append(found, b"")).complete
        appender = await process.store.open(found, checked=True, algorithm="sha1")
        await appender.write(b"")
        assert len(await appender.checksum("sha1")) == 20
        assert (await appender.commit()).complete

    play(tmp_path, act)


def test_tidying_aborts_what_nobody_goes_on_with(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 3 * PART)
        await process.patch(ID, bytes(2 * PART))
        await until(lambda: process.shipment(ID).shipped_end == 2 * PART)
        stray = await process.objects.create(f"{PREFIX}{'b' * 32}", Attributes())
        mine = process.shipment(ID).session
        assert set(process.bucket.sessions) == {mine, stray}
        assert await process.store.tidy() == 1
        assert set(process.bucket.sessions) == {mine}

    play(tmp_path, act, FlushPlan(orphan_age_s=-1.0))


@pytest.mark.parametrize("expire", [False, True])
def test_finished_uploads_are_listed_only_where_they_expire(tmp_path: Path, expire: bool) -> None:  # noqa: FBT001
    other = UploadId("b" * 32)

    async def act(process: Spooled) -> None:
        await process.create(ID, 5, b"hello")
        await process.settled()
        await process.create(other, 5)
        await process.objects.put(PREFIX + "not an id.info", b"", Attributes())
        names = {name async for name in process.store.names()}
        assert names == ({ID, other} if expire else {other})
        assert process.store.guarded is False
        assert await process.store.free_bytes() > 0

    play(tmp_path, act, FlushPlan(expire_finished=expire))


def test_a_finished_upload_is_as_old_as_its_last_byte_wherever_it_is(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 2 * PART)
        appender = await process.store.open(await process.load(ID))
        os.utime(tmp_path / ID, (1000.0, 1000.0))  # its request takes that long
        await appender.write(bytes(2 * PART))
        began = time.time()
        gate = process.objects.faults.gate("complete")
        committing = asyncio.ensure_future(appender.commit())
        await gate.reached.wait()
        here = (await process.load(ID)).info
        gate.open()
        await committing
        await process.settled()
        there = (await process.load(ID)).info
        assert here.modified_at == there.modified_at >= began - 1
        assert there.expires_at == there.modified_at + 60

    play(tmp_path, act, FlushPlan(ttl_s=60))


def test_a_length_that_completes_syncs_what_was_not_synced_before(tmp_path: Path) -> None:
    class Recorder:
        def __init__(self, engine: Engine) -> None:
            self.engine = engine
            self.synced: list[int] = []

        def __getattr__(self, name: str) -> object:
            return getattr(self.engine, name)

        def close_file(self, descriptor: int, sync: int, *names: object) -> object:
            self.synced.append(sync)
            return self.engine.close_file(descriptor, sync, *names)  # type: ignore[arg-type]

    async def act(process: Spooled) -> None:
        await process.create(ID, None)
        await process.patch(ID, b"hello")
        recorder = Recorder(process.engine)
        process.spool.engine = cast("Engine", recorder)
        found = await process.store.declare(await process.load(ID), 5)
        assert SYNC_NAME in recorder.synced
        await process.store.append(found, b"")
        process.spool.engine = process.engine

    play(tmp_path, act, SPOOL)


def test_a_finished_upload_expires_after_its_last_byte(tmp_path: Path) -> None:
    async def act(process: Spooled) -> None:
        await process.create(ID, 5, b"hello")
        await process.settled()
        info = (await process.load(ID)).info
        assert info.expires_at == pytest.approx(info.modified_at + 60)

    play(tmp_path, act, FlushPlan(ttl_s=60))
