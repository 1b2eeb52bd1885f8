"""The background of every object store: whose turn it is, when to try again, who waits for what."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import (
    FileloftError,
    NotStoredError,
    RemoteRefusedError,
    RemoteUnavailableError,
    ShuttingDownError,
    UploadNotFoundError,
)
from fileloft_fast.flush.outage import Outage
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.flush.shipment import (
    Complete,
    Compress,
    Punch,
    PutPart,
    PutWhole,
    Shipment,
    Step,
    Wait,
)
from fileloft_fast.observe.log import fields
from fileloft_fast.observe.request import doing

if TYPE_CHECKING:
    from fileloft_fast.flush.carrier import Carrier
    from fileloft_fast.flush.spool_room import SpoolRoom
    from fileloft_fast.model import UploadId

log = logging.getLogger(__name__)

_SMALL_BYTES: Final = 256 * 1024
"""What takes a request's time rather than the link's."""

_SMALL_AT_ONCE: Final = 4
"""For each part that may be in flight, so many small requests may be, too."""

_COMPRESSING_AT_ONCE: Final = 2
"""Each takes a core."""


class Lane:
    """A bounded number of steps at once; uploads take turns, a step a turn."""

    __slots__ = ("free", "queue")

    def __init__(self, at_once: int) -> None:
        self.free = at_once
        self.queue: deque[Shipment] = deque()


class Flusher:
    """Ships what it is told of, until it is stopped; failures are tried again for ever.

    *parts_at_once* over all uploads. *patience_s*: how long somebody who waits is kept waiting
    while nothing moves. *taken* tells how many bytes the store has been sent so far.
    """

    def __init__(
        self,
        carrier: Carrier,
        room: SpoolRoom,
        *,
        parts_at_once: int,
        patience_s: float,
        taken: Callable[[], int] = lambda: 0,
    ) -> None:
        self.room = room
        self.shipments: dict[UploadId, Shipment] = {}
        self.patience_s = patience_s
        self._carrier = carrier
        self._taken = taken
        self._parts = Lane(parts_at_once)
        self._compressing = Lane(_COMPRESSING_AT_ONCE)
        self._small = Lane(parts_at_once * _SMALL_AT_ONCE)
        self._backoffs: dict[UploadId, tuple[Backoff, asyncio.TimerHandle | None]] = {}
        self._outage = Outage(Backoff, self._probe)
        self._flying = 0
        self._stopped = False

    @property
    def taken(self) -> int:
        """How many bytes the store has been sent."""
        return self._taken()

    @property
    def away(self) -> bool:
        """Whether the store is taken to be away."""
        return self._outage.away

    def queues(self) -> dict[str, int]:
        """Return how many uploads wait for their turn, by lane."""
        lanes = {"parts": self._parts, "small": self._small, "compressing": self._compressing}
        return {name: len(lane.queue) for name, lane in lanes.items()}

    # -- what there is to ship ------------------------------------------------------------------

    def add(self, shipment: Shipment) -> None:
        """Ship *shipment* from now on, the only one of its upload."""
        assert shipment.upload not in self.shipments
        self.shipments[shipment.upload] = shipment
        self.wake(shipment)

    def wake(self, shipment: Shipment) -> None:
        """Look again at *shipment*: something about it has changed."""
        if self.shipments.get(shipment.upload) is not shipment:
            return
        self.room.count(shipment)
        for waiter in shipment.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._queue(shipment)

    async def halt(self, shipment: Shipment, *, patience_s: float = 0.0) -> bool:
        """Return when nothing of *shipment* is in flight, nor will be before ``resume``.

        What makes an object or a session may take *patience_s* more. False where it was cut off:
        the store may still do what it was asked for.
        """
        shipment.halted += 1
        if shipment.busy and shipment.tasks and patience_s:
            await asyncio.wait(tuple(shipment.tasks), timeout=patience_s)
        whole = not shipment.busy
        for task in shipment.tasks:
            task.cancel()
        if shipment.tasks:
            await asyncio.wait(tuple(shipment.tasks))
        return whole

    def resume(self, shipment: Shipment) -> None:
        """Go on with a shipment that was halted."""
        shipment.halted -= 1
        self.wake(shipment)

    def forget(self, shipment: Shipment) -> None:
        """Take out *shipment*, which is halted or over; who waits for it hears that it is gone."""
        if self.shipments.get(shipment.upload) is not shipment:
            return
        shipment.lost = not shipment.settled
        self.wake(shipment)
        del self.shipments[shipment.upload]
        self.room.count(shipment, gone=True)
        self._calm(shipment)

    async def stop(self) -> None:
        """Stop: what is in flight is cancelled, and the journals say how far it is."""
        self._stopped = True
        self._outage.close()
        self.room.close()
        tasks = [task for shipment in self.shipments.values() for task in shipment.tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for shipment in tuple(self.shipments.values()):
            self._calm(shipment)
            self.wake(shipment)

    # -- those who wait -------------------------------------------------------------------------

    async def stored(self, shipment: Shipment) -> None:
        """Return when the object is in the store.

        Raises NotStoredError where nothing has moved for a while, UploadNotFoundError where the
        upload is lost or removed meanwhile, ShuttingDownError.
        """
        await self.until(shipment, lambda: shipment.stored is not None)

    async def drained(self, shipment: Shipment, end: int) -> None:
        """Return when every byte before *end* has left; raises what ``stored`` raises."""
        await self.until(shipment, lambda: shipment.shipped_end >= end)

    async def room_for(self, shipment: Shipment) -> None:
        """Return when there is room in the spool. Raises NotStoredError after a while."""
        try:
            with doing("waiting for room"):
                async with asyncio.timeout(self.patience_s):
                    await self.room.wait(shipment)
        except TimeoutError:
            raise NotStoredError("the spool is full") from shipment.failure

    async def until(self, shipment: Shipment, reached: Callable[[], bool]) -> None:
        """Return when *reached* says so; raises what ``stored`` raises."""
        with doing("flushing"):
            await self._until(shipment, reached)

    async def _until(self, shipment: Shipment, reached: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        deadline, seen = loop.time() + self.patience_s, self._movement(shipment)
        while not reached():
            if shipment.lost:
                raise UploadNotFoundError("no such upload")
            if self._stopped:
                raise ShuttingDownError("the server is stopping")
            late = not await self._changed(shipment, deadline)
            if self._movement(shipment) != seen:
                deadline, seen = loop.time() + self.patience_s, self._movement(shipment)
            elif late:
                raise NotStoredError("the object store has not taken it yet") from shipment.failure

    async def _changed(self, shipment: Shipment, deadline: float) -> bool:
        """Wait for news of *shipment*; False where there were none before *deadline*."""
        waiter = asyncio.get_running_loop().create_future()
        shipment.waiters.add(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                await waiter
        except TimeoutError:
            return False
        finally:
            shipment.waiters.discard(waiter)
        return True

    def _movement(self, shipment: Shipment) -> tuple[int, int]:
        """Return what grows while the store takes something.

        On a slow link, or while others have their turn, no step of this upload may end for long. A
        store that takes bytes to refuse them again moves nothing.
        """
        return shipment.progress, 0 if shipment.failure else self._taken()

    # -- turns ----------------------------------------------------------------------------------

    def _queue(self, shipment: Shipment) -> None:
        if shipment.queued or self._stopped:
            return
        step = shipment.next_step()
        if isinstance(step, Wait):
            return
        shipment.queued = True
        lane = self._lane(step)
        lane.queue.append(shipment)
        self._start(lane)

    def _lane(self, step: Step) -> Lane:
        if isinstance(step, Compress | Punch):
            return self._compressing
        is_large = isinstance(step, PutPart | PutWhole | Complete) and step.length > _SMALL_BYTES
        return self._parts if is_large else self._small

    def _start(self, lane: Lane) -> None:
        """Give the free places of *lane* to those who stand first."""
        while lane.free and lane.queue and self._may_begin(lane):
            shipment = lane.queue.popleft()
            shipment.queued = False
            step = shipment.next_step()
            if isinstance(step, Wait):
                continue
            if self._lane(step) is lane:
                self._run(shipment, step, lane)
            self._queue(shipment)  # at the end: perhaps another part may go beside this one

    def _may_begin(self, lane: Lane) -> bool:
        if self._stopped:
            return False
        return lane is self._compressing or self._outage.allows(self._flying)

    def _probe(self) -> None:
        self._start(self._small)
        self._start(self._parts)

    def _run(self, shipment: Shipment, step: Step, lane: Lane) -> None:
        lane.free -= 1
        self._flying += lane is not self._compressing
        shipment.take(step)
        task = asyncio.get_running_loop().create_task(self._carrier.carry(shipment, step))
        shipment.tasks.add(task)
        task.add_done_callback(partial(self._on_done, shipment, step, lane))

    def _on_done(
        self, shipment: Shipment, step: Step, lane: Lane, task: asyncio.Task[None]
    ) -> None:
        lane.free += 1
        self._flying -= lane is not self._compressing
        shipment.tasks.discard(task)
        shipment.give_back(step)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self._on_failure(shipment, error)
            elif lane is not self._compressing:
                self._on_success(shipment)
        if shipment.settled or shipment.lost:
            self.forget(shipment)
        else:
            self.wake(shipment)
        self._start(lane)
        self._probe()  # where the store is away, what waits in the other lane has its turn, too

    def _on_success(self, shipment: Shipment) -> None:
        shipment.progress += 1
        shipment.failure = None
        self._calm(shipment)
        if self._outage.worked():
            log.info("object store is back")
            self._rouse(self.shipments.values())

    def _on_failure(self, shipment: Shipment, error: BaseException) -> None:
        loop = asyncio.get_running_loop()
        is_remote = isinstance(error, RemoteUnavailableError | RemoteRefusedError)
        is_first = is_remote and self._outage.failed(shipment.upload)
        if isinstance(error, RemoteUnavailableError):
            if is_first:
                log.warning("object store fails", extra=fields(id=shipment.upload, error=error))
        elif type(error) is not type(shipment.failure):
            trace = None if isinstance(error, FileloftError) else error
            log.error(
                "shipment fails", extra=fields(id=shipment.upload, error=error), exc_info=trace
            )
        shipment.failure = _without_frames(error)
        if not shipment.resting and not self._stopped:
            shipment.resting = True
            backoff, _ = self._backoffs.get(shipment.upload, (Backoff(), None))
            timer = loop.call_later(backoff.next_s(), self._on_rested, shipment)
            self._backoffs[shipment.upload] = backoff, timer

    def _on_rested(self, shipment: Shipment) -> None:
        shipment.resting = False
        self.wake(shipment)

    def _calm(self, shipment: Shipment) -> None:
        """Forget that tries have failed."""
        _, timer = self._backoffs.pop(shipment.upload, (None, None))
        if timer is not None:
            timer.cancel()
        shipment.resting = False

    def _rouse(self, shipments: Iterable[Shipment]) -> None:
        for shipment in tuple(shipments):
            if shipment.resting:
                self._calm(shipment)
                self.wake(shipment)


def _without_frames(error: BaseException) -> BaseException:
    """Return *error* without what it keeps alive: thousands of uploads may remember theirs."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
