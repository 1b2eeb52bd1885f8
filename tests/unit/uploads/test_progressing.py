"""A 104 with an offset promises that so many bytes need not be sent again (IETF, Section 4.2.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from fileloft_fast.model import Offset, Response, UploadId, UploadInfo
from fileloft_fast.uploads import progressing
from fileloft_fast.uploads.progressing import Telling

BASE = 1000
ENOUGH = 8 * 1024 * 1024
INFO = UploadInfo(id=UploadId("a"), offset=Offset(BASE), length=None)


class Scene:
    """A body that is received, and what its client was told."""

    def __init__(self, *, reads: bool = True, speaks: bool = True) -> None:
        self.told: list[int] = []
        self.looks = 0
        self.reads = reads
        self._speaks = speaks
        self._received = 0
        self._looked = asyncio.Event()

    @property
    def received(self) -> int:
        self.looks += 1
        self._looked.set()
        return self._received

    def announce(self, interim: Response) -> bool:
        if self.reads:
            self.told.append(int(dict(interim.own)["Upload-Offset"]))
        return self.reads

    def render(self, offset: Offset) -> Response | None:
        return Response(104, (("Upload-Offset", str(offset)),)) if self._speaks else None

    def telling(self) -> Telling:
        return Telling(cast("Any", self), INFO, cast("Any", self), self.render)

    async def receive(self, size: int) -> None:
        """Bring *size* bytes more, and return once the progress was looked at twice."""
        self._received += size
        for _ in range(2):
            self._looked.clear()
            async with asyncio.timeout(60):
                await self._looked.wait()


def played(play: Callable[[Scene], Any], **how: bool) -> Scene:
    async def scene() -> Scene:
        made = Scene(**how)
        await play(made)
        return made

    return asyncio.run(scene())


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progressing, "_INTERVAL_S", 0.001)


def test_an_offset_is_told_once_for_each_stretch_that_is_worth_it() -> None:
    async def play(scene: Scene) -> None:
        with scene.telling():
            await scene.receive(ENOUGH - 1)
            await scene.receive(1)
            await scene.receive(ENOUGH)

    assert played(play).told == [BASE + ENOUGH, BASE + 2 * ENOUGH]


def test_a_client_that_did_not_read_is_told_later() -> None:
    async def play(scene: Scene) -> None:
        with scene.telling():
            await scene.receive(ENOUGH)
            scene.reads = True
            await scene.receive(0)

    assert played(play, reads=False).told == [BASE + ENOUGH]


def test_nothing_is_told_where_the_version_knows_no_such_answer() -> None:
    async def play(scene: Scene) -> None:
        with scene.telling():
            await scene.receive(ENOUGH)

    assert played(play, speaks=False).told == []


def test_nothing_is_told_of_a_body_that_is_over() -> None:
    async def play(scene: Scene) -> None:
        with scene.telling():
            await scene.receive(0)
        looks = scene.looks
        elapsed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, elapsed.set)  # fifty times the interval
        await elapsed.wait()
        assert scene.looks == looks

    played(play)
