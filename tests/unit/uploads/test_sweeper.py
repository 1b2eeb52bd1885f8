"""The sweeper: one bad file does not stop it, a store that is down does, until the next time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import pytest

from fileloft_fast.errors import RemoteUnavailableError, StoreError, UploadNotFoundError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores import Look
from fileloft_fast.uploads import Locks, Sweeper
from fileloft_fast.uploads.expiry import Expiry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.stores import AnyStore


class Found:
    """An upload that expired long ago."""

    def __init__(self, upload: UploadId) -> None:
        self.info = UploadInfo(id=upload, offset=Offset(0), length=5, expires_at=1.0)


class Shelf:
    """A store of expired uploads, some of which cannot be removed."""

    def __init__(self, uploads: Sequence[str], stuck: frozenset[str] = frozenset()) -> None:
        self.uploads = [UploadId(name) for name in uploads]
        self.down = False
        self.hidden = False
        self.spans: list[tuple[float, float]] = []
        self.tidied = 0
        self._stuck = stuck

    async def aged(self, since: float, until: float) -> AsyncIterator[Look]:
        self.spans.append((since, until))
        for name in () if self.hidden else tuple(self.uploads):
            yield Look(1, [name])

    @property
    def looks(self) -> int:
        return len(self.spans)

    async def load(self, upload: UploadId) -> Found:
        if self.down:
            raise RemoteUnavailableError("the store is down")
        if upload not in self.uploads:
            raise UploadNotFoundError("no such upload")
        return Found(upload)

    async def remove(self, upload: UploadId) -> bool:
        if upload in self._stuck:
            raise StoreError("the disk failed: Structure needs cleaning")
        self.uploads.remove(upload)
        return True

    def mend(self) -> None:
        self._stuck = frozenset()

    async def tidy(self) -> int:
        self.tidied += 1
        return 2


def play(
    scene: Callable[[Sweeper, Locks], Coroutine[Any, Any, None]],
    shelf: Shelf,
    *,
    expired_s: float | None = 0.001,
) -> None:
    async def run() -> None:
        locks, store = Locks(1), cast("AnyStore", shelf)
        sweeper = Sweeper(store, locks, Expiry(1), expired_s=expired_s, leftovers_s=0.001)
        async with asyncio.timeout(60):
            await scene(sweeper, locks)
        assert not locks.queues

    asyncio.run(run())


async def run_until(sweeper: Sweeper, condition: Callable[[], bool]) -> None:
    running = asyncio.create_task(sweeper.run())
    while not condition():
        assert not running.done()
        await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


def test_an_upload_that_cannot_be_removed_does_not_save_those_behind_it() -> None:
    shelf = Shelf(["a", "b", "c", "d"], frozenset({"a", "c"}))

    async def scene(sweeper: Sweeper, _: Locks) -> None:
        assert await sweeper.sweep() == (2, 4)
        assert shelf.uploads == ["a", "c"]

    play(scene, shelf)


def test_an_upload_that_is_held_is_left_alone() -> None:
    shelf = Shelf(["a", "b"])

    async def scene(sweeper: Sweeper, locks: Locks) -> None:
        async with locks.hold(UploadId("a")):
            assert await sweeper.sweep() == (1, 2)

    play(scene, shelf)


def test_a_store_that_is_down_is_asked_again_next_time(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(["a", "b"])
    shelf.down = True

    async def scene(sweeper: Sweeper, _: Locks) -> None:
        await run_until(sweeper, lambda: shelf.looks > 2)
        shelf.down = False
        await run_until(sweeper, lambda: not shelf.uploads)

    play(scene, shelf)
    said = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert ("WARNING", "sweep ended early") in said
    assert not any(record.exc_info for record in caplog.records)


def test_leftovers_are_looked_for_where_nothing_expires() -> None:
    shelf = Shelf(["a"])

    async def scene(sweeper: Sweeper, _: Locks) -> None:
        await run_until(sweeper, lambda: shelf.tidied > 2)
        assert (shelf.looks, shelf.uploads) == (0, ["a"])

    play(scene, shelf, expired_s=None)


def test_a_sweep_begins_where_the_last_one_came_to() -> None:
    shelf = Shelf(["a"])

    async def scene(sweeper: Sweeper, _: Locks) -> None:
        assert await sweeper.sweep() == (1, 1)
        await sweeper.sweep()
        (first, until), (second, _until) = shelf.spans
        assert first == float("-inf")
        assert until - 5 < second <= until

    play(scene, shelf)


def test_a_sweep_that_failed_is_made_again_as_a_whole() -> None:
    shelf = Shelf(["a"])
    shelf.down = True

    async def scene(sweeper: Sweeper, _: Locks) -> None:
        with pytest.raises(RemoteUnavailableError):
            await sweeper.sweep()
        shelf.down = False
        await sweeper.sweep()
        assert {since for since, _ in shelf.spans} == {float("-inf")}

    play(scene, shelf)


def test_what_was_passed_over_is_looked_at_until_it_is_gone() -> None:
    """A sweep that begins later would not come by it any more."""
    shelf = Shelf(["held", "stuck"], frozenset({"stuck"}))

    async def scene(sweeper: Sweeper, locks: Locks) -> None:
        async with locks.hold(UploadId("held")):
            assert await sweeper.sweep() == (0, 2)
        shelf.hidden = True
        assert await sweeper.sweep() == (1, 0)
        shelf.mend()
        assert await sweeper.sweep() == (1, 0)
        assert shelf.uploads == []

    play(scene, shelf)


def test_what_was_passed_over_is_remembered_by_a_sweep_that_fails() -> None:
    shelf = Shelf(["held"])

    async def scene(sweeper: Sweeper, locks: Locks) -> None:
        async with locks.hold(UploadId("held")):
            assert await sweeper.sweep() == (0, 1)
        shelf.hidden = shelf.down = True
        with pytest.raises(RemoteUnavailableError):
            await sweeper.sweep()
        shelf.down = False
        assert await sweeper.sweep() == (1, 0)

    play(scene, shelf)


def test_what_was_passed_over_is_looked_at_once_a_sweep(caplog: pytest.LogCaptureFixture) -> None:
    """A store that cannot tell by age names it again each time."""
    shelf = Shelf(["stuck"], frozenset({"stuck"}))

    async def scene(sweeper: Sweeper, _: Locks) -> None:
        for _again in range(3):
            assert await sweeper.sweep() == (0, 1)

    play(scene, shelf)
    assert [record.getMessage() for record in caplog.records] == ["sweep passes over"] * 3
