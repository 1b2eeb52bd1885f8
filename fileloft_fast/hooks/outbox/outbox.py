"""The outbox: events are written down before what they tell of is true, and told until heard.

Each process writes files of its own under a lock and takes over those whose owner is gone. Of a
long outage only some files are in memory; the others wait on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from fileloft_fast.errors import FileloftError
from fileloft_fast.hooks.outbox.courier import Courier
from fileloft_fast.hooks.outbox.entries import Event, Made, Told, Void
from fileloft_fast.hooks.outbox.letters import write_letter
from fileloft_fast.hooks.outbox.page import Item, Page, has_room
from fileloft_fast.hooks.outbox.segment import (
    adopt_segment,
    create_segment,
    names_of,
    open_folder,
)
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.failures import store_error

if TYPE_CHECKING:
    from fileloft_fast.config import HookEvent
    from fileloft_fast.dataplane import Engine
    from fileloft_fast.hooks.sink import Sink

log = logging.getLogger(__name__)

FOLDER: Final = "outbox"

_TEND_S: Final = 5.0
_START_S: Final = 2.0
_PROOFS_AT_ONCE: Final = 16


class Draft(Struct, frozen=True):
    """What is to be told of *upload*: see ``Event``."""

    event: HookEvent
    upload: str
    key: str
    body: str


Prove = Callable[[Item], Awaitable[str | None]]
"""Finds out whether what an item tells of came true: the body to tell, "" for no, None: not now."""


class Outbox:
    """Events on their way to *sinks*, in files of the folder ``outbox`` of *directory*.

    *durable* False: only a power cut may lose them. Raises ConfigError where there is no folder.
    """

    def __init__(  # noqa: PLR0913 - settings, by name
        self,
        engine: Engine,
        directory: str,
        sinks: Sequence[Sink],
        *,
        durable: bool,
        backoff_s: float,
        max_age_s: float,
    ) -> None:
        self._engine = engine
        self._durable = durable
        self._path = f"{directory}/{FOLDER}"
        self._directory = open_folder(self._path, directory)
        self._couriers = [
            Courier(
                sink, backoff_s=backoff_s, max_age_s=max_age_s, told=self._on_told, lost=self._lose
            )
            for sink in sinks
        ]
        self._live: Page | None = None
        self._warm: list[Page] = []
        self._cold: deque[Page] = deque()
        self._keys: set[str] = set()
        self._prove: Prove | None = None
        self._turn = asyncio.Lock()
        self._proofs = asyncio.Semaphore(_PROOFS_AT_ONCE)
        self._doubted: dict[str, deque[Item]] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._letters: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._adopted = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None

    async def start(self, prove: Prove) -> None:
        """Take over what other processes have left, and tell; *prove* asks the store.

        Of a long outage there may be more than is waited for here.
        """
        self._prove = prove
        self._tending = asyncio.get_running_loop().create_task(self._tend())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                await self._adopted.wait()

    async def close(self) -> None:
        """Tell no more, and give the files up to whoever comes next."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        await asyncio.gather(*(courier.close() for courier in self._couriers))
        if self._letters:
            await asyncio.wait(tuple(self._letters))
        for task in self._settling:
            task.cancel()
        if self._settling:
            await asyncio.wait(tuple(self._settling))
        if self._live is not None:
            self._live.live = False
            self._warm.append(self._live)
        for page in (*self._warm, *self._cold):
            await page.segment.close(remove=page.over)
        os.close(self._directory)

    # -- what happens ---------------------------------------------------------------------------

    def wants(self, event: HookEvent) -> bool:
        """Whether anybody would be told of *event*."""
        return any(courier.sink.wants(event) for courier in self._couriers)

    async def expect(self, *drafts: Draft) -> list[Item]:
        """Write down what is about to come true, durably; ``confirm`` or ``drop`` follows.

        Raises StoreError, after which nothing will be told.
        """
        return await self._write(drafts, made=False)

    async def tell(self, draft: Draft) -> None:
        """Write down what is true, durably, and tell of it. Raises StoreError."""
        for item in await self._write([draft], made=True):
            self._enter(item)

    def confirm(self, item: Item, body: str = "") -> None:
        """*item* came true: tell of it, in the words of *body* where that is set."""
        if item.n not in item.page.doubts:
            return
        if item.key in self._keys:  # another request has seen to it
            self.drop(item)
            return
        changed = body if body != item.body else ""
        item.body = body or item.body
        item.page.segment.note(Made(item.n, changed))
        self._enter(item)

    def drop(self, item: Item) -> None:
        """*item* did not come true."""
        item.page.segment.note(Void(item.n))
        item.page.drop(item)
        self._look(item.page)

    def doubt(self, item: Item) -> None:
        """Nobody here knows whether *item* came true: the store is asked until it says."""
        queue = self._doubted.get(item.upload)
        if queue is None:
            self._doubted[item.upload] = deque((item,))
            _spawn(self._settle(item.upload), self._settling)
        elif item not in queue:
            queue.append(item)

    async def _write(self, drafts: Sequence[Draft], *, made: bool) -> list[Item]:
        page = await self._open_page()
        entries = [
            Event(page.number(), d.key, d.event.value, d.upload, time.time(), d.body, made)
            for d in drafts
        ]
        items = [Item(page, entry) for entry in entries]
        page.doubts.update((item.n, item) for item in items)
        try:
            await page.segment.write(*entries)
        except BaseException:
            for item in items:
                self.drop(item)  # the line may be there all the same
            raise
        return items

    # -- files ----------------------------------------------------------------------------------

    async def _open_page(self) -> Page:
        if self._live is not None and not self._live.full:
            return self._live
        async with self._turn:
            if self._live is None or self._live.full:
                await self._turn_page()
            assert self._live is not None
            return self._live

    async def _turn_page(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            segment = await loop.run_in_executor(
                None, lambda: create_segment(self._engine, self._directory, durable=self._durable)
            )
        except OSError as error:
            raise store_error(error) from error
        full, self._live = self._live, None
        if full is not None:
            full.live = False
            self._shelve(full)
        self._live = Page(segment, warm=not self._cold and self._has_room)
        self._live.live = True

    @property
    def _has_room(self) -> bool:
        sinks = {courier.sink.name for courier in self._couriers}
        down = {courier.sink.name for courier in self._couriers if courier.is_down}
        return has_room(self._warm, sinks, down)

    def _shelve(self, page: Page) -> None:
        """Put *page*, which takes no more events, where it belongs."""
        if page.warm:
            self._warm.append(page)
            self._look(page)
        else:
            page.cool()
            self._cold.append(page)
            self._news.set()

    def _look(self, page: Page) -> None:
        if page.over:
            self._news.set()

    async def _tend(self) -> None:
        """Adopt, remove what is over, read what waits, give up what is too old; until cancelled."""
        adopted_at = float("-inf")
        while True:
            try:
                if time.monotonic() - adopted_at >= _TEND_S:
                    adopted_at = time.monotonic()
                    await self._adopt()
                    for courier in self._couriers:
                        courier.expire()
                await self._retire()
                await self._warm_up()
            except (FileloftError, OSError) as error:
                log.warning("outbox not tended", extra=fields(error=error))
            except Exception:  # what waits must not depend on a restart
                log.exception("outbox not tended")
            self._adopted.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TEND_S):
                    await self._news.wait()
            self._news.clear()

    async def _retire(self) -> None:
        for page in tuple(self._warm):
            if page.over:
                self._warm.remove(page)
                await page.segment.close(remove=True)

    async def _warm_up(self) -> None:
        while self._cold and self._has_room:
            page = self._cold.popleft()
            page.warm = True
            self._warm.append(page)
            try:
                await self._load(page)
            except BaseException:  # it is not over, though nothing of it is in memory
                self._warm.remove(page)
                page.cool()
                self._cold.appendleft(page)
                raise
        live = self._live
        if live is not None and not (live.warm or self._cold) and self._has_room:
            live.warm = True
            for item in tuple(live.items.values()):
                self._deliver(item)

    async def _adopt(self) -> None:
        """Take over the files of processes that are gone.

        The newest first, since it may have doubts: whether an upload is there should be asked
        before somebody removes it. What is to be told is told in order, oldest first.
        """
        loop = asyncio.get_running_loop()
        own = {page.segment.name for page in (*self._warm, *self._cold, self._live) if page}
        for name in reversed(await loop.run_in_executor(None, names_of, self._directory)):
            if name not in own:
                await self._adopt_one(name)
        self._cold = deque(sorted(self._cold, key=lambda page: page.segment.name))

    async def _adopt_one(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        segment = await loop.run_in_executor(
            None,
            lambda: adopt_segment(self._engine, self._directory, name, durable=self._durable),
        )
        if segment is None:
            return
        page = Page(segment, warm=False)
        self._cold.append(page)
        await self._load(page)
        log.info("outbox taken over", extra=fields(file=name, events=len(page.items)))
        page.cool()

    async def _load(self, page: Page) -> None:
        true, doubtful, damaged = await page.load()
        if damaged:
            log.error("outbox damaged", extra=fields(file=page.segment.name, lines=damaged))
        if page.warm:
            for item in true:
                self._deliver(item)
        for item in doubtful:
            self.doubt(item)
        self._look(page)

    # -- telling --------------------------------------------------------------------------------

    def _enter(self, item: Item) -> None:
        page = item.page
        page.doubts.pop(item.n, None)
        if page.warm or page.live:
            page.items[item.n] = item
        if page.warm:
            self._deliver(item)

    def _deliver(self, item: Item) -> None:
        self._keys.add(item.key)
        wanting = [c for c in self._couriers if c.sink.wants(item.event)]
        wanting = [c for c in wanting if c.sink.name not in item.told]
        item.left = {courier.sink.name for courier in wanting}
        for courier in wanting:
            courier.add(item)
        if not wanting:
            self._end(item)

    def _on_told(self, item: Item, sink: str, *, dead: bool = False) -> None:
        item.page.segment.note(Told(item.n, sink, dead))
        item.left.discard(sink)
        if not item.left:
            self._end(item)

    def _end(self, item: Item) -> None:
        self._keys.discard(item.key)
        item.page.drop(item)
        self._look(item.page)

    def _lose(self, item: Item, sink: str, why: str) -> None:
        _spawn(self._write_letter(item, sink, why), self._letters)

    async def _write_letter(self, item: Item, sink: str, why: str) -> None:
        said = fields(hook=sink, event=item.event.value, id=item.upload, key=item.key, error=why)
        try:
            await asyncio.get_running_loop().run_in_executor(
                None, write_letter, self._path, item, sink, why
            )
        except OSError:
            log.exception("dead letter not written; the event is tried after a restart", extra=said)
            return
        log.error("dead letter", extra=said)
        self._on_told(item, sink, dead=True)

    # -- doubts ---------------------------------------------------------------------------------

    async def _settle(self, upload: str) -> None:
        """Settle what is in doubt of *upload*, in its order: so it is told."""
        queue = self._doubted[upload]
        try:
            while queue:
                await self._settle_one(queue[0])
                queue.popleft()
        finally:
            del self._doubted[upload]

    async def _settle_one(self, item: Item) -> None:
        assert self._prove is not None
        pause_s = 0.1
        while item.n in item.page.doubts:
            async with self._proofs:
                body = await self._prove(item)
            if body is None:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 30.0)
            elif body:
                self.confirm(item, body)
            else:
                self.drop(item)


def _spawn(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
