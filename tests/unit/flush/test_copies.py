"""Spool mode: how long bytes that have left stay in the spool, and which of them go first."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.flush import FlushPlan
from fileloft_fast.flush.copies import Copies
from fileloft_fast.flush.journal import Begin, Hole, parse
from fileloft_fast.flush.spool_room import SpoolLimits
from fileloft_fast.model import UploadId
from tests.stores.memory import Bucket
from tests.stores.spooled import PART, Spooled, hurry, spooled, until

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
OTHER: Final = UploadId("b" * 32)
FINISH: Final = FlushPlan()
SPOOL: Final = FlushPlan(ack=AckMode.SPOOL)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def journal(root: Path, upload: UploadId = ID) -> list[Any]:
    return parse((root / f"{upload}.journal").read_bytes())[0]


def holes(root: Path) -> list[int]:
    return [entry.end for entry in journal(root) if isinstance(entry, Hole)]


async def ship(process: Spooled, upload: UploadId, content: bytes, length: int) -> None:
    """Upload *content*, some whole parts, and see it leave."""
    await process.create(upload, length)
    await process.patch(upload, content)
    await shipped(process, upload, len(content))


async def shipped(process: Spooled, upload: UploadId, end: int) -> None:
    await until(lambda: process.shipment(upload).shipped_end == end)


# -- which ones -----------------------------------------------------------------------------------


def kept(copies: int, *, complete: bool = False) -> Any:
    info = SimpleNamespace(complete=complete)
    return SimpleNamespace(upload=object(), copies=copies, info=info, gives_way=False)


def chosen(
    shipments: list[Any], *, most: int = 0, min_free: int = 0, free: int = 0, backlog: int = 0
) -> list[int]:
    """Return which shipments have to give way."""
    woken: list[Any] = []
    limits = SpoolLimits(spool_max_bytes=most, min_free_bytes=min_free)
    room = SimpleNamespace(limits=limits, backlog=backlog, make_room=None)

    async def free_bytes() -> int:
        return free

    async def choose() -> None:
        copies = Copies(free_bytes)
        flusher: Any = SimpleNamespace(room=room, wake=woken.append)
        copies.serve(flusher)
        for shipment in shipments:
            copies.add(shipment)
        await copies.make_room()

    asyncio.run(choose())
    assert [shipment for shipment in shipments if shipment.gives_way] == sorted(
        woken, key=shipments.index
    )
    return [at for at, shipment in enumerate(shipments) if shipment.gives_way]


def test_without_a_limit_everything_stays() -> None:
    assert chosen([kept(10**12)]) == []


def test_half_of_the_spool_is_for_copies_as_long_as_nobody_needs_it() -> None:
    assert chosen([kept(30), kept(20)], most=100) == []
    assert chosen([kept(30), kept(21)], most=100) == [0]
    assert chosen([kept(30), kept(20)], most=100, backlog=31) == [0, 1]


def test_the_disk_is_left_twice_what_is_to_stay_free() -> None:
    assert chosen([kept(30), kept(20)], min_free=100, free=200) == []
    assert chosen([kept(30), kept(20)], min_free=100, free=199) == [0]
    assert chosen([kept(30), kept(20)], min_free=100, free=150) == [0, 1]


def test_what_clients_still_have_goes_first() -> None:
    assert chosen([kept(30, complete=True), kept(20)], min_free=100, free=190) == [1]


# -- in the spool ---------------------------------------------------------------------------------


def test_bytes_stay_until_their_upload_is_stored(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, SPOOL) as process:
            await ship(process, ID, content[: 3 * PART], len(content))
            assert (tmp_path / ID).read_bytes() == content[: 3 * PART]
            assert not process.shipment(ID).has_holes
            gate = process.objects.faults.gate("complete")
            await process.patch(ID, content[3 * PART :])
            await gate.reached.wait()
            assert await process.get(ID) == content
            gate.open()
            await process.settled()
            assert process.files(ID) == []
            assert process.content(ID) == content

    asyncio.run(scene())


def test_a_hole_is_written_down_before_it_is_made(tmp_path: Path) -> None:
    content = os.urandom(4 * PART)
    plan = FlushPlan(ack=AckMode.SPOOL, spool_max_bytes=3 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, plan) as process:
            punch = process.engine.punch

            def punched(descriptor: int, start: int, length: int) -> Any:
                assert holes(tmp_path)[-1] >= start + length
                return punch(descriptor, start, length)

            spy: Any = SpyEngine(process.engine, punched)
            process.engine = process.spool.engine = spy
            await process.create(ID, len(content))
            for at in range(0, 3 * PART, PART):
                await process.patch(ID, content[at : at + PART])
            await until(lambda: process.shipment(ID).punched_to >= PART)
            await process.patch(ID, content[3 * PART :])
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


class SpyEngine:
    """An engine whose holes are looked at."""

    def __init__(self, engine: Any, punch: Any) -> None:
        self.punch = punch
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def test_a_full_disk_takes_what_other_uploads_have_kept_before_anybody_waits(
    tmp_path: Path,
) -> None:
    plan = FlushPlan(ack=AckMode.SPOOL, min_free_bytes=1000)

    async def scene() -> None:
        async with spooled(tmp_path, None, plan) as process:
            process.spool.free_bytes = free_bytes  # type: ignore[method-assign]
            copies = process.flusher.room.make_room.__self__  # type: ignore[union-attr]
            copies._free_bytes = process.flusher.room._free_bytes = free_bytes
            await ship(process, ID, os.urandom(3 * PART), 9 * PART)
            process.objects.faults.down = True
            await process.create(OTHER, 9 * PART)
            await process.patch(OTHER, os.urandom(2 * PART))
            assert process.shipment(ID).punched_to == 0
            free[0] = 1999  # less than twice what is to stay free: nobody waits yet
            await process.flusher.room_for(process.shipment(OTHER))
            await until(lambda: process.shipment(ID).punched_to == 3 * PART)

    free = [10**9]

    async def free_bytes() -> int:
        return free[0]

    asyncio.run(scene())


def test_a_file_that_is_read_gets_no_holes(tmp_path: Path) -> None:
    content = os.urandom(3 * PART)
    plan = FlushPlan(ack=AckMode.SPOOL, spool_max_bytes=100 * PART)

    async def scene() -> None:
        async with spooled(tmp_path, None, plan) as process:
            gate = process.objects.faults.gate("complete")
            await process.create(ID, len(content))
            await process.patch(ID, content)
            await gate.reached.wait()
            assert await process.get(ID) == content
            shipment = process.shipment(ID)
            shipment.gives_way = True
            gate.open()
            await process.settled()
            assert shipment.punched_to == 0

    asyncio.run(scene())


# -- after a restart ------------------------------------------------------------------------------


def test_holes_are_remembered(tmp_path: Path) -> None:
    content = os.urandom(6 * PART)
    bucket = Bucket()
    tight = FlushPlan(ack=AckMode.SPOOL, spool_max_bytes=PART)

    async def scene() -> None:
        async with spooled(tmp_path, bucket, tight) as process:
            await ship(process, ID, content[: 2 * PART], len(content))
            await until(lambda: process.shipment(ID).punched_to >= PART)
            await process.kill()
        punched = holes(tmp_path)[-1]  # another may have been written down while it was killed
        assert punched >= PART
        async with spooled(tmp_path, bucket, SPOOL) as process:
            assert process.shipment(ID).punched_to == punched
            await process.patch(ID, content[2 * PART : 4 * PART])
            await until(lambda: process.shipment(ID).shipped_end == 4 * PART)
            assert process.shipment(ID).punched_to == punched

    asyncio.run(scene())


def test_in_finish_mode_nothing_stays_and_the_journal_goes_on_to_tell(tmp_path: Path) -> None:
    content = os.urandom(6 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, SPOOL) as process:
            await ship(process, ID, content[: 2 * PART], len(content))
            await process.kill()
        async with spooled(tmp_path, bucket, FINISH) as process:
            await until(lambda: process.shipment(ID).punched_to == 2 * PART)
            await process.patch(ID, content[2 * PART : 4 * PART])
            await until(lambda: process.shipment(ID).punched_to == 4 * PART)
            assert holes(tmp_path)[-1] == 4 * PART
            await process.kill()
        async with spooled(tmp_path, bucket, SPOOL) as process:
            assert process.shipment(ID).punched_to == 4 * PART
            await process.patch(ID, content[4 * PART :])
            await process.settled()
            assert process.content(ID) == content

    asyncio.run(scene())


def test_what_was_begun_in_finish_mode_is_kept_from_then_on(tmp_path: Path) -> None:
    content = os.urandom(6 * PART)
    bucket = Bucket()

    async def scene() -> None:
        async with spooled(tmp_path, bucket, FINISH) as process:
            await ship(process, ID, content[: 2 * PART], len(content))
            assert process.shipment(ID).punched_to == 2 * PART
            await process.kill()
        for end in (4, 5):
            async with spooled(tmp_path, bucket, SPOOL) as process:
                begins = [entry for entry in journal(tmp_path) if isinstance(entry, Begin)]
                assert [begin.keeps for begin in begins] == [False, True]
                assert process.shipment(ID).punched_to == 2 * PART
                offset = (await process.load(ID)).info.offset
                await process.patch(ID, content[offset : end * PART])
                await shipped(process, ID, end * PART)
                assert process.shipment(ID).punched_to == 2 * PART
                await process.kill()
        async with spooled(tmp_path, bucket, FINISH) as process:
            await process.patch(ID, content[5 * PART :])
            assert process.content(ID) == content

    asyncio.run(scene())
