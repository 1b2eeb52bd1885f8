"""Outboxes on one directory, one after another, and hooks that hear of their events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fileloft_fast.config import HookEvent
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import HookUnavailableError
from fileloft_fast.hooks.outbox.outbox import Draft, Outbox
from fileloft_fast.hooks.wire import NOTHING_SAID, HookRequest, HookResponse, render_request

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.hooks.outbox.page import Item
    from fileloft_fast.hooks.sink import Call


class Ear:
    """A hook that hears, or is down."""

    def __init__(self, name: str = "ear") -> None:
        self.name = name
        self.down = False
        self.heard: list[Call] = []
        self.news = asyncio.Event()
        self.tries = 0

    def wants(self, event: HookEvent) -> bool:
        return event is not HookEvent.POST_RECEIVE

    async def call(self, call: Call) -> HookResponse:
        self.tries += 1
        await asyncio.sleep(0)
        if self.down:
            raise HookUnavailableError("down")
        self.heard.append(call)
        self.news.set()
        return NOTHING_SAID

    async def close(self) -> None:
        pass

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(120):
            while len(self.heard) < count:
                self.news.clear()
                await self.news.wait()


class Scene:
    """An engine, a directory, and outboxes on it one after another."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.engine = Engine(asyncio.get_running_loop())
        self.truth: dict[str, bool | None] = {}
        self.proofs = 0

    async def outbox(self, *ears: Ear, max_age_s: float = 1000.0) -> Outbox:
        made = Outbox(
            self.engine,
            str(self.directory),
            ears,
            durable=True,
            backoff_s=0.02,
            max_age_s=max_age_s,
        )
        await made.start(self.prove)
        return made

    async def prove(self, item: Item) -> str | None:
        self.proofs += 1
        truth = self.truth.get(item.upload)
        return None if truth is None else item.body if truth else ""

    def files(self) -> list[Path]:
        return list((self.directory / "outbox").glob("*.events"))

    def letters(self) -> list[Path]:
        return list((self.directory / "outbox/dead-letters").glob("*.json"))


def draft(upload: str, event: HookEvent = HookEvent.POST_FINISH, padding: int = 0) -> Draft:
    request = HookRequest(type=event.value)
    request.event.upload.id = upload
    request.event.upload.metadata = {"padding": "x" * padding}
    return Draft(event, upload, f"key-{event.value}-{upload}", render_request(request).decode())


def play(directory: Path, act: Callable[[Scene], Awaitable[None]]) -> None:
    async def scene() -> None:
        stage = Scene(directory)
        try:
            async with asyncio.timeout(240):
                await act(stage)
        finally:
            stage.engine.close()

    asyncio.run(scene())
