"""Whole files on their way into a bucket that fails, forgets answers, or has something there."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import (
    ObjectExistsError,
    RemoteRefusedError,
    RemoteUnavailableError,
    SessionLostError,
    TooLargeError,
)
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.storages.courier import Courier, Pacing, Parcel
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.memory import Bucket, MemoryObjects
from tests.stores.spooled import PART, hurry

if TYPE_CHECKING:
    from pathlib import Path

KEY: Final = "in/a/b"
CONTENT: Final = os.urandom(5 * PART + 7)
WHOLE: Final = PART
SIZES: Final = pytest.mark.parametrize("size", [WHOLE, 3 * PART + 1], ids=["whole", "parts"])

Scene = Callable[["Sending"], Awaitable[None]]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


class Sending:
    """A courier and a bucket; files of the first bytes of ``CONTENT``."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.objects = MemoryObjects(Bucket())
        self.courier = Courier(self.objects, engine, pacing(20.0))
        self.hasty = Courier(self.objects, engine, pacing(0.05))
        self._folder = folder

    @contextlib.contextmanager
    def parcel(self, size: int, *, own: str = "one", overwrite: bool = True) -> Iterator[Parcel]:
        file = self._folder / own
        file.write_bytes(CONTENT[:size])
        descriptor = os.open(file, os.O_RDONLY)
        try:
            yield Parcel(
                key=KEY,
                descriptor=descriptor,
                size=size,
                attributes=Attributes(content_type="image/png", metadata={ID_NAME: own}),
                overwrite=overwrite,
            )
        finally:
            os.close(descriptor)

    async def ship(self, size: int, *, own: str = "one", overwrite: bool = True) -> None:
        with self.parcel(size, own=own, overwrite=overwrite) as parcel:
            await self.courier.ship(parcel)

    @property
    def content(self) -> bytes | None:
        stored = self.objects.objects.get(KEY)
        return None if stored is None else stored.content


def pacing(patience_s: float) -> Pacing:
    return Pacing(part_bytes=PART, parts_at_once=2, patience_s=patience_s)


def play(folder: Path, scene: Scene) -> None:
    async def played() -> None:
        engine = Engine(asyncio.get_running_loop())
        try:
            await scene(Sending(engine, folder))
        finally:
            engine.close()

    asyncio.run(played())


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 5 * PART + 7])
def test_a_file_arrives_as_it_is(tmp_path: Path, size: int, *, overwrite: bool) -> None:
    async def scene(sending: Sending) -> None:
        with sending.parcel(size, overwrite=overwrite) as parcel:
            head = await sending.courier.ship(parcel)
        assert head == await sending.objects.head(KEY)
        assert (head.size, head.content_type) == (size, "image/png")
        assert sending.content == CONTENT[:size]
        assert not sending.objects.bucket.sessions

    play(tmp_path, scene)


@SIZES
@pytest.mark.parametrize("name", ["create", "put_part", "complete", "put"])
def test_what_fails_for_a_while_is_tried_again(tmp_path: Path, size: int, name: str) -> None:
    async def scene(sending: Sending) -> None:
        sending.objects.faults.refuse(name, times=3)
        sending.objects.faults.refuse(name, error=RemoteRefusedError("403"))
        await sending.ship(size)
        assert sending.content == CONTENT[:size]

    play(tmp_path, scene)


@SIZES
@pytest.mark.parametrize("overwrite", [True, False])
def test_an_answer_that_was_lost_is_no_failure(
    tmp_path: Path, size: int, *, overwrite: bool
) -> None:
    async def scene(sending: Sending) -> None:
        sending.objects.faults.lose("put")
        sending.objects.faults.lose("complete")
        await sending.ship(size, overwrite=overwrite)
        assert sending.content == CONTENT[:size]

    play(tmp_path, scene)


@SIZES
def test_what_is_there_is_replaced_where_that_is_wanted(tmp_path: Path, size: int) -> None:
    async def scene(sending: Sending) -> None:
        await sending.ship(2 * PART, own="old")
        await sending.ship(size)
        assert sending.content == CONTENT[:size]

    play(tmp_path, scene)


@SIZES
def test_what_is_there_stays_where_nothing_is_to_be_replaced(tmp_path: Path, size: int) -> None:
    async def scene(sending: Sending) -> None:
        await sending.ship(7, own="old")
        with pytest.raises(ObjectExistsError):
            await sending.ship(size, overwrite=False)
        assert sending.content == CONTENT[:7]
        assert not sending.objects.bucket.sessions

    play(tmp_path, scene)


@SIZES
def test_a_file_that_arrived_before_a_crash_does_not_stand_in_its_own_way(
    tmp_path: Path, size: int
) -> None:
    async def scene(sending: Sending) -> None:
        await sending.ship(size, overwrite=False)
        await sending.ship(size, overwrite=False)
        with pytest.raises(ObjectExistsError):
            await sending.ship(size, own="other", overwrite=False)

    play(tmp_path, scene)


@SIZES
@pytest.mark.parametrize("name", ["create", "put_part", "complete", "put"])
def test_a_store_that_stays_away_ends_the_try_and_a_later_one_works(
    tmp_path: Path, size: int, name: str
) -> None:
    if (size == WHOLE) != (name == "put"):
        return

    async def scene(sending: Sending) -> None:
        sending.objects.faults.refuse(name, times=10_000)
        with sending.parcel(size) as parcel, pytest.raises(RemoteUnavailableError):
            await sending.hasty.ship(parcel)
        assert sending.content is None
        assert not sending.objects.bucket.sessions
        sending.objects.faults.clear()
        await sending.ship(size)
        assert sending.content == CONTENT[:size]

    play(tmp_path, scene)


@pytest.mark.parametrize("name", ["put_part", "complete"])
def test_parts_that_the_store_has_lost_are_a_failure_that_passes(tmp_path: Path, name: str) -> None:
    async def scene(sending: Sending) -> None:
        sending.objects.faults.refuse(name, error=SessionLostError("NoSuchUpload"))
        with pytest.raises(RemoteUnavailableError):
            await sending.ship(3 * PART)
        await sending.ship(3 * PART)
        assert sending.content == CONTENT[: 3 * PART]

    play(tmp_path, scene)


@pytest.mark.parametrize("name", ["put_part", "complete"])
def test_who_leaves_in_the_middle_leaves_no_parts_behind(tmp_path: Path, name: str) -> None:
    async def scene(sending: Sending) -> None:
        gate = sending.objects.faults.gate(name)
        shipping = asyncio.create_task(sending.ship(3 * PART))
        await gate.reached.wait()
        shipping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shipping
        assert not sending.objects.bucket.sessions

    play(tmp_path, scene)


def test_no_more_parts_than_were_allowed_travel_at_once(tmp_path: Path) -> None:
    async def scene(sending: Sending) -> None:
        gate = sending.objects.faults.gate("put_part")
        shipping = [asyncio.create_task(sending.ship(5 * PART, own=own)) for own in "ab"]
        await gate.reached.wait()
        for _ in range(1000):
            await asyncio.sleep(0)
        assert sending.objects.faults.counts["put_part"] == 2
        gate.open()
        await asyncio.gather(*shipping)

    play(tmp_path, scene)


def test_a_file_that_no_object_can_hold_is_refused(tmp_path: Path) -> None:
    async def scene(sending: Sending) -> None:
        largest = sending.objects.limits.largest_object
        with sending.parcel(7) as parcel, pytest.raises(TooLargeError):
            await sending.courier.ship(
                Parcel(
                    key=KEY,
                    descriptor=parcel.descriptor,
                    size=largest + 1,
                    attributes=parcel.attributes,
                    overwrite=True,
                )
            )

    play(tmp_path, scene)
