"""One lock an upload, handed over on demand.

Whoever comes later asks the holder to stop; the holder's bytes count, and the newcomer goes on in
milliseconds. HEAD needs no lock: it asks the holder's transfer how far it is.

With leases, who is first in this process waits for the lease that the replicas share, and hands it
to the next one here; where another replica has asked for it, it is given up in between.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from fileloft_fast.errors import UploadLockedError
from fileloft_fast.observe.board import Board
from fileloft_fast.observe.request import concerning, doing
from fileloft_fast.uploads.settling import is_settled

if TYPE_CHECKING:
    from types import TracebackType

    from fileloft_fast.model import Body, UploadId
    from fileloft_fast.stores import Appender, Reception
    from fileloft_fast.uploads.leases import Lease, Leases


class Hold:
    """One request's claim on an upload; ``async with`` waits for it and gives it up.

    *body* is interrupted when somebody else wants the upload; None for work that is short.
    Raises UploadLockedError where the holder does not let go in time.
    """

    __slots__ = (
        "_asked",
        "_body",
        "_granted",
        "_locks",
        "_over",
        "appender",
        "transfer",
        "upload",
        "writing",
    )

    def __init__(self, locks: Locks, upload: UploadId, body: Body | None) -> None:
        self.upload = upload
        self.transfer: Reception | None = None
        self.appender: Appender | None = None
        self.writing = False  # bytes were taken from the body and are not stored yet
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
            with self._locks.waiting():
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

    @property
    def body(self) -> Body | None:
        """The body of the request that holds or waits; None for work that is short."""
        return self._body

    @property
    def lost(self) -> bool:
        """Whether another replica may have the upload by now: nothing more may be committed."""
        return False

    @property
    def received(self) -> int:
        """How many bytes this holder has put into the upload so far."""
        if self.transfer is not None:
            return self.transfer.moved
        return 0 if self.appender is None else self.appender.received

    def ask(self) -> None:
        """Ask this holder to stop."""
        if not self._asked:
            self._asked = True
            self._locks.handed_over()
            self.stop("a newer request took the upload over")

    def stop(self, why: str) -> None:
        """Make this holder stop: 423 for its client, and what has arrived is kept."""
        if self._body is not None:
            self._body.interrupt(UploadLockedError(why))

    async def settle(self) -> None:
        """Wait until the file has every byte that this holder's client has sent and we have got.

        What waits in the socket must not be stored after somebody was told the offset: the request
        that then comes for that offset would be refused. A holder that would do so is ended: nobody
        was promised what it has not stored yet. Raises UploadLockedError where it does not end.
        """
        if self._body is None:
            return
        if self._over is None:
            self._over = asyncio.Event()
        if await is_settled(self, self._body, self._over):
            return
        self.stop("the upload was looked at while this request waited")
        try:
            async with asyncio.timeout(self._locks.timeout_s):
                await self._over.wait()
        except TimeoutError as error:
            raise UploadLockedError("bytes of a request that was ended are not in yet") from error

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


class Tenancy:
    """What this replica has of an upload among the replicas: passed on from hold to hold."""

    __slots__ = ("asked", "lease", "queue")

    def __init__(self, queue: deque[Hold]) -> None:
        self.queue = queue
        self.lease: Lease | None = None
        self.asked = False

    @property
    def lost(self) -> bool:
        """Whether nobody here may count on it."""
        return self.lease is None or self.lease.lost

    def ask(self) -> None:
        """Ask who has the upload here to stop: another replica wants it."""
        self.asked = True
        self.queue[0].ask()

    def lose(self) -> None:
        """Stop who has the upload here: another replica may have it in a moment."""
        self.queue[0].stop("another replica may have the upload")


class OuterHold(Hold):
    """A claim among those outside of this process too: who is first here then makes it there.

    How that is done is for the kinds of it: ``_claim`` and ``_give_up``.
    """

    __slots__ = ("_limit", "_refusal")

    def __init__(self, locks: Locks, upload: UploadId, body: Body | None) -> None:
        super().__init__(locks, upload, body)
        self._limit: asyncio.Timeout | None = None
        self._refusal: Exception | None = None

    async def __aenter__(self) -> Self:
        queue = self._locks.queues.setdefault(self.upload, deque())
        queue.append(self)
        try:
            with self._locks.waiting():
                async with asyncio.timeout(self._locks.timeout_s) as self._limit:
                    await self._wait_here(queue)
                    wanted = await self._claim(queue)
        except BaseException as error:
            self._limit = None
            await self._give_up()
            if isinstance(error, TimeoutError):
                refusal = self._refusal or UploadLockedError("the upload is held by another")
                raise refusal from error
            raise
        self._limit = None
        if len(queue) > 1 or wanted:
            self.ask()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._give_up()

    def refuse(self, error: Exception) -> None:
        """Make a claim that still waits, here or outside, fail with *error*."""
        if self._limit is not None and not self._limit.expired():
            self._refusal = error
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def _wait_here(self, queue: deque[Hold]) -> None:
        if queue[0] is not self:
            queue[0].ask()
            self._granted = asyncio.get_running_loop().create_future()
            await self._granted

    async def _claim(self, queue: deque[Hold]) -> bool:
        """Make the claim outside; return whether somebody there wants the upload already."""
        raise NotImplementedError

    async def _give_up(self) -> None:
        """Leave the queue, and what was claimed outside to whoever is next."""
        raise NotImplementedError


class SharedHold(OuterHold):
    """A claim among several replicas: the same, and a lease for as long as it lasts.

    Raises LockServiceError where the locks of the replicas cannot be reached.
    """

    __slots__ = ()

    @property
    def lost(self) -> bool:
        """Whether another replica may have the upload by now: nothing more may be committed."""
        tenancy = self._locks.tenancies.get(self.upload)
        return tenancy is None or tenancy.lost

    async def _claim(self, queue: deque[Hold]) -> bool:
        return (await self._ensure_tenancy(queue)).asked

    async def _ensure_tenancy(self, queue: deque[Hold]) -> Tenancy:
        """Return what the last holder here has left, or wait for the lease."""
        locks = self._locks
        left = locks.tenancies.get(self.upload)
        if left is not None and not left.lost:
            return left
        await locks.end_tenancy(self.upload)
        assert locks.leases is not None
        assert self._limit is not None
        tenancy = Tenancy(queue)
        tenancy.lease = await locks.leases.acquire(
            self.upload,
            timeout_s=(self._limit.when() or 0.0) - asyncio.get_running_loop().time(),
            on_ask=tenancy.ask,
            on_lost=tenancy.lose,
        )
        locks.tenancies[self.upload] = tenancy
        return tenancy

    async def _give_up(self) -> None:
        """Leave, and leave the lease to the next one here unless another replica wants it."""
        queue = self._locks.queues[self.upload]
        try:
            if queue[0] is self:
                tenancy = self._locks.tenancies.get(self.upload)
                if tenancy is not None and (len(queue) == 1 or tenancy.asked or tenancy.lost):
                    await self._locks.end_tenancy(self.upload)
        finally:
            self._leave()


class Locks:
    """The locks of one process, and with *leases* those that it shares with other replicas.

    *timeout_s* bounds the wait for a hold, whoever stands in the way. Waits are told to *board*.
    """

    def __init__(
        self, timeout_s: float, leases: Leases | None = None, board: Board | None = None
    ) -> None:
        self.timeout_s = timeout_s
        self.queues: dict[UploadId, deque[Hold]] = {}
        self.leases = leases
        self.tenancies: dict[UploadId, Tenancy] = {}
        self._hold = Hold if leases is None else SharedHold
        self._board = Board() if board is None else board
        self._waits = self._board.histogram("fileloft_lock_wait_seconds")

    @property
    def shared(self) -> bool:
        """Whether other replicas take part."""
        return self.leases is not None

    def hold(self, upload: UploadId, body: Body | None = None) -> Hold:
        """Return a claim on *upload* to be entered."""
        self.note(upload)
        return self._hold(self, upload, body)

    def note(self, upload: UploadId) -> None:
        """Let the log know which upload the running request is about."""
        concerning(upload)

    def holder(self, upload: UploadId) -> Hold | None:
        """Return who holds *upload* now in this process, or waits for its lease."""
        queue = self.queues.get(upload)
        return queue[0] if queue else None

    def is_held(self, upload: UploadId) -> bool:
        """Return whether somebody who can be asked to ``settle`` holds *upload*."""
        return upload in self.queues

    async def settle(self, upload: UploadId) -> None:
        """Wait until the file has every byte that a holder's client has sent; see ``Hold``."""
        holder = self.holder(upload)
        if holder is not None:
            await holder.settle()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Measure how long the block lasts, in which somebody waits for a hold."""
        began = time.monotonic()
        try:
            with doing("waiting for lock"):
                yield
        finally:
            self._waits.observe(time.monotonic() - began)

    def handed_over(self) -> None:
        """Count that a holder was asked to let go."""
        self._board.add("fileloft_lock_handovers_total")

    def drain(self, error: Exception) -> None:
        """Let no claim wait any longer: each one that does fails with *error*.

        Leases are then given up with the holds that have them.
        """
        for queue in tuple(self.queues.values()):
            for hold in tuple(queue):
                hold.refuse(error)

    async def end_tenancy(self, upload: UploadId) -> None:
        """Give the lease of *upload* up, if there is one. Only for who holds it here."""
        tenancy = self.tenancies.pop(upload, None)
        if tenancy is not None and tenancy.lease is not None:
            await tenancy.lease.release()
