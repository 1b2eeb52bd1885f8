"""Who has to wait while the spool is full, and for how long."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

import fileloft_fast.flush.spool_room
from fileloft_fast.errors import ShuttingDownError, UploadNotFoundError
from fileloft_fast.flush.shipment import Shipment
from fileloft_fast.flush.spool_room import SpoolLimits, SpoolRoom
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Limits, Receipt

PART: Final = 100
LIMITS: Final = Limits(smallest_part=1, largest_part=1000, most_parts=99, largest_object=10**6)
FREE: Final = 1000


class Place:
    """A room, and uploads that fill it."""

    def __init__(self, limits: SpoolLimits, free: int = FREE) -> None:
        self.free = free
        self.room = SpoolRoom(limits, self._free_bytes)

    async def _free_bytes(self) -> int:
        return self.free

    def upload(self, name: str, ready: int) -> Shipment:
        info = UploadInfo(id=UploadId(name), offset=Offset(ready), length=10_000)
        shipment = Shipment(info, name, LIMITS, lambda _: PART)
        shipment.arrive(info)
        shipment.restore(PART, "session")
        self.room.count(shipment)
        return shipment

    def ship(self, shipment: Shipment, number: int) -> None:
        shipment.accept(Receipt(number, PART, "tag", 0))
        self.room.count(shipment)

    async def waits(self, shipment: Shipment) -> bool:
        task = asyncio.ensure_future(self.room.wait(shipment))
        for _ in range(5):
            await asyncio.sleep(0)
        if task.done():
            return False
        task.cancel()
        await asyncio.wait([task])
        return True


def test_an_upload_waits_while_three_of_its_parts_do() -> None:
    async def scene() -> None:
        place = Place(SpoolLimits(parts_each=3))
        assert not await place.waits(place.upload("a", 299))
        full = place.upload("b", 300)
        assert await place.waits(full)
        assert not await place.waits(place.upload("c", 150))
        place.ship(full, 2)
        assert await place.waits(full)  # its place on the disk is not free before the first left
        place.ship(full, 1)
        assert not await place.waits(full)

    asyncio.run(scene())


def test_a_wait_ends_when_a_part_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileloft_fast.flush.spool_room, "_LOOK_AGAIN_S", 3600.0)

    async def scene() -> None:
        place = Place(SpoolLimits(parts_each=3))
        full = place.upload("a", 300)
        task = asyncio.ensure_future(place.room.wait(full))
        await asyncio.sleep(0)
        place.ship(full, 1)
        await task

    asyncio.run(scene())


def test_all_wait_while_the_spool_is_full_but_for_those_with_nothing_to_ship() -> None:
    async def scene() -> None:
        place = Place(SpoolLimits(spool_max_bytes=500))
        first, second = place.upload("a", 200), place.upload("b", 299)
        assert not await place.waits(first)
        third = place.upload("c", 100)
        assert place.room.backlog == 500
        assert await place.waits(first)
        assert await place.waits(second)
        # Its bytes cannot leave before its part is full: to wait for that would be to wait forever.
        assert not await place.waits(place.upload("d", 99))
        place.room.count(third, gone=True)
        assert place.room.backlog == 400
        assert not await place.waits(first)

    asyncio.run(scene())


def test_a_disk_that_is_nearly_full_lets_wait_and_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fileloft_fast.flush.spool_room, "_LOOK_AGAIN_S", 0.01)

    async def scene() -> None:
        place = Place(SpoolLimits(min_free_bytes=FREE + 1))
        upload = place.upload("a", 100)
        assert await place.waits(upload)
        task = asyncio.ensure_future(place.room.wait(upload))
        await asyncio.sleep(0)
        place.free = FREE + 1
        await task

    asyncio.run(scene())


def test_a_wait_ends_when_the_upload_is_lost_or_the_server_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fileloft_fast.flush.spool_room, "_LOOK_AGAIN_S", 3600.0)

    async def scene() -> None:
        place = Place(SpoolLimits(parts_each=3))
        lost, full = place.upload("a", 300), place.upload("b", 300)
        waits = [asyncio.ensure_future(place.room.wait(upload)) for upload in (lost, full)]
        await asyncio.sleep(0)
        lost.lost = True
        place.room.count(lost, gone=True)
        with pytest.raises(UploadNotFoundError):
            await waits[0]
        place.room.close()
        with pytest.raises(ShuttingDownError):
            await waits[1]
        with pytest.raises(ShuttingDownError):
            await place.room.wait(full)

    asyncio.run(scene())


def test_without_limits_nobody_waits() -> None:
    async def scene() -> None:
        place = Place(SpoolLimits(), free=0)
        assert not await place.waits(place.upload("a", 9000))

    asyncio.run(scene())
