"""Brings events to one hook until it has them: in order for each upload, uploads in parallel."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import HookFailedError
from fileloft_fast.hooks.sink import Call
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.hooks.outbox.page import Item
    from fileloft_fast.hooks.sink import Sink

log = logging.getLogger(__name__)

_AT_ONCE: Final = 16
_DOWN_AFTER: Final = 3
"""So many failures in a row, and the hook is down: it is tried with one event at a time."""

_LONGEST_DOWN_S: Final = 15.0
_LONGEST_S: Final = 300.0
_LEAST_S: Final = 0.05
_LAST_WORDS_S: Final = 0.5


class Courier:
    """Tells *sink* of events; *told* hears of each that it has.

    *lost* is told of one that could not be delivered for *max_age_s*, with the last error.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        backoff_s: float,
        max_age_s: float,
        told: Callable[[Item, str], None],
        lost: Callable[[Item, str, str], None],
    ) -> None:
        self.sink = sink
        self._backoff_s = max(backoff_s, _LEAST_S)
        self._max_age_s = max_age_s
        self._told = told
        self._lost = lost
        self._queues: dict[str, deque[Item]] = {}
        self._ready: deque[str] = deque()
        self._resting: dict[str, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._down: asyncio.TimerHandle | None = None
        self._closed = False

    def add(self, item: Item) -> None:
        """Tell of *item*, after all that was added before of the same upload."""
        queue = self._queues.get(item.upload)
        if queue is None:
            self._queues[item.upload] = deque((item,))
            self._ready.append(item.upload)
            self._start()
        else:
            queue.append(item)

    async def close(self) -> None:
        """End; what has not been told stays in the outbox."""
        self._closed = True
        for timer in (*self._resting.values(), self._down):
            if timer is not None:
                timer.cancel()
        if not self._running:
            return
        # What is about to be heard would be told again by the next process.
        _, late = await asyncio.wait(tuple(self._running), timeout=_LAST_WORDS_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    @property
    def is_down(self) -> bool:
        """Whether the hook fails for everybody."""
        return self._failures >= _DOWN_AFTER

    def expire(self) -> None:
        """While the hook is down, give up what is too old, without a try for each."""
        if not self.is_down:
            return
        for upload in tuple(self._resting):
            self._rouse(upload)
        waiting, self._ready = self._ready, deque()
        for upload in waiting:
            queue = self._queues[upload]
            while queue and self._is_old(queue[0]):
                self._lost(queue.popleft(), self.sink.name, "the hook is down")
            self._requeue(upload)

    @property
    def _free(self) -> bool:
        if self._closed or self._down is not None:
            return False
        at_once = _AT_ONCE if self._failures < _DOWN_AFTER else 1
        return len(self._running) < at_once

    def _start(self) -> None:
        while self._ready and self._free:
            upload = self._ready.popleft()
            item = self._queues[upload][0]
            task = asyncio.get_running_loop().create_task(self._tell(item))
            self._running.add(task)
            task.add_done_callback(partial(self._on_done, item))

    async def _tell(self, item: Item) -> None:
        await self.sink.call(Call(item.event, item.body.encode(), item.key))

    def _on_done(self, item: Item, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None or (isinstance(error, HookFailedError) and error.delivered):
            self._on_told(item)
        elif not self._closed:
            self._on_failure(item, error)
        self._start()

    def _on_told(self, item: Item) -> None:
        was_down, self._failures = self._failures >= _DOWN_AFTER, 0
        self._queues[item.upload].popleft()
        self._told(item, self.sink.name)
        self._requeue(item.upload)
        if was_down:
            log.info("hook is back", extra=fields(hook=self.sink.name))
            for upload in () if self._closed else tuple(self._resting):
                self._rouse(upload)

    def _on_failure(self, item: Item, error: BaseException) -> None:
        self._failures += 1
        tries = item.tries[self.sink.name] = item.tries.get(self.sink.name, 0) + 1
        if tries == 1 or self._failures == _DOWN_AFTER:
            said = fields(hook=self.sink.name, event=item.event.value, id=item.upload, error=error)
            log.warning("hook not told yet", extra=said)
        if self._is_old(item):
            self._queues[item.upload].popleft()
            self._lost(item, self.sink.name, str(error))
            self._requeue(item.upload)
        else:
            self._rest(item.upload, tries)
        if self._failures >= _DOWN_AFTER and self._down is None:
            pause_s = self._pause_s(self._failures - _DOWN_AFTER + 1, _LONGEST_DOWN_S)
            self._down = asyncio.get_running_loop().call_later(pause_s, self._on_rested)

    def _on_rested(self) -> None:
        self._down = None
        if not self._ready and self._resting:  # somebody has to find out whether it is back
            self._rouse(next(iter(self._resting)))
        self._start()

    def _rest(self, upload: str, tries: int) -> None:
        pause_s = self._pause_s(tries, _LONGEST_S)
        loop = asyncio.get_running_loop()
        self._resting[upload] = loop.call_later(pause_s, self._rouse, upload)

    def _rouse(self, upload: str) -> None:
        self._resting.pop(upload).cancel()
        self._ready.append(upload)
        self._start()

    def _requeue(self, upload: str) -> None:
        if self._queues[upload]:
            self._ready.append(upload)
        else:
            del self._queues[upload]

    def _is_old(self, item: Item) -> bool:
        return time.time() - item.at > self._max_age_s

    def _pause_s(self, tries: int, longest_s: float) -> float:
        pause_s = min(self._backoff_s * float(1 << min(tries - 1, 20)), longest_s)
        return pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
