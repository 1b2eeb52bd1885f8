"""One body from a socket into the spool, part by part, with a wait wherever there is no room."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from asyncio import Future

    from fileloft_fast.dataplane import Transfer

_MOMENT_S: Final = 0.05

Begin: TypeAlias = "Callable[[int, bytes], Transfer]"
"""Starts to receive so many bytes, beginning with these, where the last slice ended."""


class SlicedTransfer:
    """A ``dataplane.Transfer`` made of several, each of which ends where *cut* says.

    *cut* maps a place in the body to the end of the slice that begins there. *room* is awaited
    before each slice, while nothing is read from the socket. *arrived* hears of every byte that is
    in the file. Its task starts at once; whoever holds it waits for ``done``.
    """

    def __init__(  # noqa: PLR0913 - what the appender puts together
        self,
        length: int,
        prefix: bytes,
        *,
        begin: Begin,
        cut: Callable[[int], int],
        room: Callable[[], Awaitable[None]],
        arrived: Callable[[int], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.done: Future[int] = loop.create_future()
        self.errno = 0
        self.failure: Exception | None = None
        self._length = length
        self._prefix = prefix
        self._begin = begin
        self._cut = cut
        self._room = room
        self._arrived = arrived
        self._at = 0
        self._slice: Transfer | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._cancelled = False
        self._task = loop.create_task(self._run())
        self._task.add_done_callback(self._on_over)

    @property
    def moved(self) -> int:
        """Bytes that are in the file, live; see ``Transfer.moved``."""
        return self._at if self._slice is None else self._at + self._slice.moved

    def cancel(self) -> None:
        """End it within milliseconds, also while it waits; see ``Transfer.cancel``."""
        self._cancelled = True
        if self._slice is not None:
            self._slice.cancel()
        elif self._waiting is not None:
            self._waiting.cancel()

    def progress(self) -> Future[int]:
        """Store what is queued in the socket now, then resolve with ``moved``.

        Where there is no room it ends: whoever hears how far it is must be able to rely on that.
        """
        return asyncio.ensure_future(self._progress())

    async def _progress(self) -> int:
        while not self._task.done():
            current = self._slice
            if current is not None:
                await current.progress()
                if self._slice is current:
                    break
            elif not await self._is_going_on():
                self.cancel()
                await asyncio.wait([self._task])
        return self.moved

    async def _is_going_on(self) -> bool:
        """Return whether there is room for the next slice, or it is over, in a moment."""
        waits = [self._task] if self._waiting is None else [self._task, self._waiting]
        done, _ = await asyncio.wait(waits, timeout=_MOMENT_S, return_when=asyncio.FIRST_COMPLETED)
        return bool(done) or self._slice is not None

    async def _run(self) -> None:
        while self._at < self._length:
            await self._wait_for_room()
            if self._cancelled:
                self.errno = errno.ECANCELED
                return
            size = min(self._cut(self._at), self._length) - self._at
            if not await self._receive(size):
                return

    async def _wait_for_room(self) -> None:
        """Wait in a task of its own, which ``cancel`` ends."""
        self._waiting = asyncio.ensure_future(self._room())
        try:
            await asyncio.wait([self._waiting])
            if not self._waiting.cancelled():
                self._waiting.result()
        finally:
            self._waiting = None

    async def _receive(self, size: int) -> bool:
        """Receive one slice; False where it ended early."""
        prefix, self._prefix = self._prefix[:size], self._prefix[size:]
        self._slice = transfer = self._begin(size, prefix)
        try:
            moved = await transfer.done
        finally:
            self._slice = None
        self._at += moved
        self.errno = transfer.errno
        self._arrived(self._at)
        return moved == size and not self.errno

    def _on_over(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self.failure = error
            self.errno = (isinstance(error, OSError) and error.errno) or errno.EIO
        if not self.done.done():
            self.done.set_result(self._at)
