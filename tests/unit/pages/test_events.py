"""What listeners of the status are told: the same, in time, and only while there are any."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

import pytest

from fileloft_fast.errors import OverloadedError
from fileloft_fast.pages.events import MOST_LISTENERS, Broadcast
from fileloft_fast.pages.snapshot import Rates, Snapshot, Totals

TOTALS = Totals(0, 0, 0, 0, 0, 0, 0)


def snapshot(at: float, received: float | None = None) -> Snapshot:
    """Return a snapshot; without *received* it has no rates."""
    return Snapshot(
        at=at,
        version="1",
        backend="fs",
        process=1,
        up=at,
        workers=1,
        restarts=0,
        reasons=[],
        rates=None if received is None else Rates(received, 2, 3, 4, 5),
        totals=TOTALS,
        connections=1,
        held=0,
        disk_free=1,
        flushing=None,
        uploads=[],
        more=0,
    )


class Maker:
    """Makes a snapshot whenever the test puts one in."""

    def __init__(self) -> None:
        self.made = asyncio.Queue[Snapshot | Exception]()
        self.asked = 0

    async def __call__(self) -> Snapshot:
        self.asked += 1
        made = await self.made.get()
        if isinstance(made, Exception):
            raise made
        return made


def play(scene: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30):
            await scene

    asyncio.run(run())


async def heard(listener: AsyncGenerator[bytes, None]) -> tuple[str, Any]:
    """Return name and data of the next event."""
    lines = (await anext(listener)).decode().split("\n")
    assert lines[2:] == ["", ""]
    return lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))


def test_every_listener_is_told_the_same_snapshot() -> None:
    async def scene() -> None:
        make = Maker()
        broadcast = Broadcast(make)
        listeners = [broadcast.listen(math.inf) for _ in range(3)]
        for each in listeners:
            assert await heard(each) == ("history", [])
        waiting = [asyncio.ensure_future(heard(each)) for each in listeners]
        make.made.put_nowait(snapshot(1.0))
        told = [await each for each in waiting]
        assert [name for name, _ in told] == ["snapshot"] * 3
        assert [said["at"] for _, said in told] == [1.0] * 3
        assert make.asked == 2  # the one that was told, and the next one
        for each in listeners:
            await each.aclose()

    play(scene())


def test_who_comes_later_is_told_what_was_and_what_is() -> None:
    async def scene() -> None:
        make = Maker()
        broadcast = Broadcast(make)
        first = broadcast.listen(math.inf)
        await heard(first)
        for at, received in ((1.0, None), (2.0, 10.0), (3.0, 20.0)):
            waiting = asyncio.ensure_future(heard(first))
            make.made.put_nowait(snapshot(at, received))
            await waiting
        second = broadcast.listen(math.inf)
        history = [[2.0, 10.0, 2.0, 3.0], [3.0, 20.0, 2.0, 3.0]]
        assert await heard(second) == ("history", history)
        name, said = await heard(second)
        assert (name, said["at"]) == ("snapshot", 3.0)
        for each in (first, second):
            await each.aclose()

    play(scene())


def test_nothing_is_made_for_nobody() -> None:
    async def scene() -> None:
        make = Maker()
        broadcast = Broadcast(make)
        await asyncio.sleep(0)
        assert make.asked == 0
        listener = broadcast.listen(math.inf)
        await heard(listener)
        await asyncio.sleep(0)
        assert make.asked == 1
        await listener.aclose()
        await asyncio.sleep(0)
        make.made.put_nowait(snapshot(1.0))
        await asyncio.sleep(0)
        assert make.made.qsize() == 1  # nobody takes it
        again = broadcast.listen(math.inf)
        await heard(again)
        assert (await heard(again))[1]["at"] == 1.0
        await again.aclose()

    play(scene())


def test_a_listener_that_hears_nothing_is_given_a_sign_of_life() -> None:
    async def scene() -> None:
        broadcast = Broadcast(Maker(), heartbeat_s=0.01)
        listener = broadcast.listen(math.inf)
        await heard(listener)
        assert await anext(listener) == b":\n\n"
        assert await anext(listener) == b":\n\n"
        await listener.aclose()

    play(scene())


def test_nobody_listens_for_longer_than_they_may() -> None:
    async def scene() -> None:
        broadcast = Broadcast(Maker())
        listener = broadcast.listen(time.time() + 0.05)
        await heard(listener)
        told = [each async for each in listener]
        assert set(told) <= {b":\n\n"}

    play(scene())


def test_there_is_room_for_so_many_and_again_when_one_leaves() -> None:
    async def scene() -> None:
        broadcast = Broadcast(Maker())
        listeners = []
        for _ in range(MOST_LISTENERS):
            broadcast.check_room()
            listeners.append(broadcast.listen(math.inf))
            await heard(listeners[-1])
        with pytest.raises(OverloadedError):
            broadcast.check_room()
        await listeners.pop().aclose()
        broadcast.check_room()
        for each in listeners:
            await each.aclose()

    play(scene())


def test_a_snapshot_that_fails_does_not_end_the_telling(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileloft_fast.pages.events._AFTER_FAILURE_S", 0.0)

    async def scene() -> None:
        make = Maker()
        broadcast = Broadcast(make)
        listener = broadcast.listen(math.inf)
        await heard(listener)
        make.made.put_nowait(RuntimeError("a bug"))
        make.made.put_nowait(snapshot(1.0))
        assert (await heard(listener))[0] == "snapshot"
        await listener.aclose()

    play(scene())
    assert "no snapshot" in caplog.text
