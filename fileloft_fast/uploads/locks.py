"""One lock an upload, handed over on demand.

Whoever comes later asks the holder to stop; the holder's bytes count, and the newcomer goes on in
milliseconds. HEAD needs no lock: it asks the holder's transfer how far it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from fileloft_fast.errors import UploadLockedError

if TYPE_CHECKING:
    from types import TracebackType

    from fileloft_fast.dataplane import Transfer
    from fileloft_fast.model import Body, UploadId

_SETTLE_S: Final = 0.5
_QUIET_S: Final = 0.008


class Hold:
    """One request's claim on an upload; ``async with`` waits for it and gives it up.

    *body* is interrupted when somebody else wants the upload; None for work that is short.
    Raises UploadLockedError where the holder does not let go in time.
    """

    __slots__ = ("_asked", "_body", "_granted", "_locks", "_over", "transfer", "upload")

    def __init__(self, locks: Locks, upload: UploadId, body: Body | None) -> None:
        self.upload = upload
        self.transfer: Transfer | None = None
        self._locks = locks
        self._body = body
        self._over: asyncio.Event | None = None
        self._asked = False
        self._granted: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        queue = self._locks.queues.get(self.upload)
        if queue is None:
            self._locks.queues[self.upload] = deque((self,))
            return self
        queue.append(self)
        queue[0].ask()
        self._granted = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._locks.timeout_s):
                await self._granted
        except BaseException as error:
            self._leave()
            if isinstance(error, TimeoutError):
                raise UploadLockedError("the upload is held by another request") from error
            raise
        if len(queue) > 1:
            self.ask()  # somebody came while we waited: what has arrived is stored, no more
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._leave()

    def ask(self) -> None:
        """Ask this holder to stop."""
        if not self._asked and self._body is not None:
            self._asked = True
            self._body.interrupt(UploadLockedError("a newer request took the upload over"))

    async def settle(self) -> None:
        """Wait until the file has every byte that this holder's client has sent and we have got.

        What waits in the socket must not be stored after somebody was told the offset: the request
        that then comes for that offset would be refused. So bytes that still flow are waited for
        until none has come for a moment, and a client that is gone until its request is over.
        """
        if self._body is None:
            return
        if self._over is None:
            self._over = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                while not await self._is_over_or_quiet(self._body, self._over):
                    pass

    async def _is_over_or_quiet(self, body: Body, over: asyncio.Event) -> bool:
        if body.abandoned:
            return await over.wait()
        before = self._arrived(body)
        if self.transfer is not None:
            await self.transfer.progress()
        try:
            async with asyncio.timeout(_QUIET_S):
                return await over.wait()
        except TimeoutError:
            return self._arrived(body) == before

    def _arrived(self, body: Body) -> int:
        return body.received if self.transfer is None else self.transfer.moved

    def refuse(self, error: Exception) -> None:
        """Make a claim that still waits fail with *error*."""
        if self._granted is not None and not self._granted.done():
            self._granted.set_exception(error)

    def grant(self) -> None:
        """Let a claim that waits have the upload."""
        if self._granted is not None and not self._granted.done():
            self._granted.set_result(None)

    def _leave(self) -> None:
        queue = self._locks.queues[self.upload]
        held = queue[0] is self
        queue.remove(self)
        if self._over is not None:
            self._over.set()
        if not queue:
            del self._locks.queues[self.upload]
        elif held:
            queue[0].grant()


class Locks:
    """The locks of one process."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.queues: dict[UploadId, deque[Hold]] = {}

    def hold(self, upload: UploadId, body: Body | None = None) -> Hold:
        """Return a claim on *upload* to be entered."""
        return Hold(self, upload, body)

    def holder(self, upload: UploadId) -> Hold | None:
        """Return who holds *upload* now."""
        queue = self.queues.get(upload)
        return queue[0] if queue else None

    def drain(self, error: Exception) -> None:
        """Let no claim wait any longer: each one that does fails with *error*."""
        for queue in tuple(self.queues.values()):
            for hold in tuple(queue)[1:]:
                hold.refuse(error)
