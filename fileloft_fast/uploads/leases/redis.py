"""Locks in Redis: leases that their holders renew, handed over on a message."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fileloft_fast.errors import LockServiceError, UploadLockedError
from fileloft_fast.observe.log import fields
from fileloft_fast.uploads.leases.inbox import Inbox
from fileloft_fast.uploads.leases.table import CHANNEL, Granted, LockTable, Refused
from fileloft_fast.uploads.leases.tenure import Tenure

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId

log = logging.getLogger(__name__)

_CONNECTIONS: Final = 16
_CONNECT_S: Final = 1.0
_TICK_S: Final = 0.001
_POLL_S: Final = 0.5  # messages can be lost; with each look the holder is asked again
_RELEASE_S: Final = 0.25  # longer than that nobody waits for a release; it goes on behind him
_CLOSE_S: Final = 2.0

_T = TypeVar("_T")


class Claim:
    """A wait for an upload. *token* names it, and the lease that it becomes."""

    __slots__ = ("asked", "attempt", "token", "turn", "upload")

    def __init__(self, upload: UploadId, token: str) -> None:
        self.upload = upload
        self.token = token
        self.turn = asyncio.Event()
        self.asked = False
        """A message may be faster than the answer that made this claim a lease."""
        self.attempt: asyncio.Task[Granted | Refused] | None = None

    async def wait(self, at_most_s: float) -> None:
        """Wait for the message that it is this claim's turn."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self.turn.wait()


class RedisLease:
    """One upload that is held; see ``Lease``."""

    __slots__ = ("_leases", "_on_ask", "_renewing", "_tenure", "_timer", "fence", "token", "upload")

    def __init__(
        self,
        leases: RedisLeases,
        claim: Claim,
        granted: Granted,
        tenure: Tenure,
        on_ask: Callable[[], None],
    ) -> None:
        self.upload = claim.upload
        self.token = claim.token
        self.fence = granted.fence
        self._leases = leases
        self._tenure = tenure
        self._on_ask = on_ask
        self._renewing = False
        self._timer = asyncio.get_running_loop().call_later(leases.renew_s, self.renew)

    @property
    def lost(self) -> bool:
        """Whether it can no longer be counted on."""
        return self._tenure.over

    def ask(self) -> None:
        """Pass on that another replica wants it."""
        if not self._tenure.over:
            self._on_ask()

    def renew(self) -> None:
        """Renew it now, in the background."""
        self._timer.cancel()
        if not self._renewing and not self._tenure.over:
            self._renewing = True
            self._leases.spawn(self._renew())

    def stop(self) -> None:
        """Renew no more and call nobody any more."""
        self._timer.cancel()
        self._tenure.stop()

    async def release(self) -> None:
        """Give the upload up. A Redis that does not answer is not waited for."""
        self.stop()
        await asyncio.wait([self._leases.begin_release(self)], timeout=_RELEASE_S)

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        next_s = self._leases.renew_s
        try:
            renewed = await self._leases.table.renew(self.upload, self.token, self.fence)
        except LockServiceError:
            next_s /= 4  # it was logged; until the tenure is over there is time to try again
        else:
            if renewed.held:
                self._tenure.renew(sent_at)
            else:
                self._tenure.end()
            if renewed.wanted:
                self.ask()
        finally:
            self._renewing = False
        if not self._tenure.over:
            self._timer = loop.call_later(next_s, self.renew)


class RedisLeases:
    """The locks in the Redis at *url*; see ``Leases``.

    A Redis that is started anew and has lost what it knew learns it again from the holders, as soon
    as they are connected; who is faster than the holder gets the upload, and the holder hears of it
    then. What a holder of this kind may still write is up to the store's own conditions.
    Raises ValueError where *url* is none.
    """

    def __init__(self, url: str, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self.renew_s = ttl_s / 3
        self._replica = secrets.token_hex(8)
        self._client = _client(url)
        self.table = LockTable(self._client, ttl_s)
        self._reader = _client(url)
        self._inbox = Inbox(
            self._reader,
            CHANNEL + self._replica,
            on_message=self._take,
            on_open=self._renew_all,
        )
        self._open = asyncio.Event()
        self._held: dict[str, RedisLease] = {}
        self._claims: dict[str, Claim] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe; a Redis that cannot be reached yet is tried again in the background."""
        self._reading = asyncio.create_task(self._inbox.run())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                await self._open.wait()

    async def close(self) -> None:
        """Release everything, for at most two seconds, and disconnect."""
        for lease in tuple(self._held.values()):
            lease.stop()
            self.spawn(self._release(lease.upload, lease.token))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_S)
            await _end(late)
        if self._reading is not None:
            await _end({self._reading})
        await self._reader.aclose()
        await self._client.aclose()

    async def acquire(
        self,
        upload: UploadId,
        *,
        timeout_s: float,
        on_ask: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> RedisLease:
        """Stand in line for the upload, and hold it."""
        claim = Claim(upload, f"{self._replica}:{secrets.token_hex(8)}")
        self._claims[claim.token] = claim
        try:
            granted, sent_at = await self._stand_in_line(claim, timeout_s)
        except BaseException:
            self.spawn(self._withdraw(claim))
            raise
        finally:
            del self._claims[claim.token]
        tenure = Tenure(self.ttl_s, sent_at, on_lost)
        lease = RedisLease(self, claim, granted, tenure, on_ask)
        self._held[claim.token] = lease
        if granted.wanted or claim.asked:
            lease.ask()
        return lease

    def begin_release(self, lease: RedisLease) -> asyncio.Task[None]:
        """Give up what is held; return what is done when Redis knows."""
        self._held.pop(lease.token, None)
        return self._begin(self._release(lease.upload, lease.token))

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Do *work* in the background."""
        _ = self._begin(work)

    def _begin(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stand_in_line(self, claim: Claim, timeout_s: float) -> tuple[Granted, float]:
        """Return what was granted, and when that had been asked for."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    claim.turn.clear()
                    sent_at = loop.time()
                    # Not to be cancelled: it would take effect after the claim was withdrawn.
                    claim.attempt = self._begin(self.table.acquire(claim.upload, claim.token))
                    answer = await asyncio.shield(claim.attempt)
                    if isinstance(answer, Granted):
                        return answer, sent_at
                    await claim.wait(min(answer.ends_s + _TICK_S, _POLL_S))
        except TimeoutError as error:
            raise UploadLockedError("the upload is held by another replica") from error

    async def _withdraw(self, claim: Claim) -> None:
        """Leave the line, or give up what was granted after all."""
        if claim.attempt is not None:
            await asyncio.gather(claim.attempt, return_exceptions=True)
        await self._release(claim.upload, claim.token)

    async def _release(self, upload: UploadId, token: str) -> None:
        try:
            await self.table.release(upload, token)
        except LockServiceError as error:
            log.debug("a lease is left to end", extra=fields(id=upload, error=error))

    def _take(self, message: str) -> None:
        what, _, token = message.partition(" ")
        claim, lease = self._claims.get(token), self._held.get(token)
        if what == "turn" and claim is not None:
            claim.turn.set()
        elif what == "ask" and claim is not None:
            claim.asked = True
        elif what == "ask" and lease is not None:
            lease.ask()

    def _renew_all(self) -> None:
        """Renew at once what is held: Redis may have forgotten it, or asks may have been missed."""
        self._open.set()
        for lease in tuple(self._held.values()):
            lease.renew()


def _client(url: str) -> Redis:
    """Return a client for *url*, whose answers are not waited for with a limit. Raises ValueError.

    Its own limit would be a task for each write, and on Python 3.11 swallow cancellations.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        socket_connect_timeout=_CONNECT_S,
        socket_timeout=None,
        decode_responses=True,
        protocol=2,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
