"""Locks on the object store itself: a lease object beside each upload, replaced by condition only.

Nobody compares clocks: a lease has ended when its nonce has not changed for its ttl, as the one who
waits has seen it. Who waits writes its name into the lease: the holder meets it with its next look,
or because its renewal fails, and lets go; for a moment the upload is then reserved for that name.
An object of its own for the question would cost the holder a second request for every look.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.errors import LockServiceError, StoreError, UploadLockedError
from fileloft_fast.flush.retry import Backoff
from fileloft_fast.uploads.leases.documents import Document, Documents
from fileloft_fast.uploads.leases.held import ObjectLease, Pulse, Won

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores.remote.objects import Objects
    from fileloft_fast.uploads.leases.documents import Seen

_POLL_S: Final = 0.2
_LOOK_S: Final = 1.0
_KEEP_LOOK_S: Final = 0.25
_RESERVED_S: Final = 1.0
_FAILING_S: Final = 3.0
_CLOSE_S: Final = 2.0
_SIGHTS: Final = 1024


class Sight(Struct, frozen=True):
    """Since when a lease has not been written by its holder, as seen from here."""

    nonce: str
    since: float


class ObjectLeases:
    """The locks under *prefix* of *objects*, which the caller starts and closes; see ``Leases``.

    A lease is written with Condition alone and never deleted: what is left of an upload that is
    gone or finished is for the sweeper. Google takes one write a second to one object: *ttl_s*
    should be six seconds or more.
    """

    def __init__(self, objects: Objects, prefix: str, ttl_s: float) -> None:
        self._documents = Documents(objects, prefix, answer_s=ttl_s / 4)
        self._replica = secrets.token_hex(8)
        self._pulse = Pulse(
            ttl_s=ttl_s,
            renew_s=ttl_s / 3,
            look_s=min(_LOOK_S, ttl_s / 6),
            keep_s=ttl_s / 3,
            keep_look_s=min(_KEEP_LOOK_S, ttl_s / 6),
        )
        self._poll_s = min(_POLL_S, ttl_s / 10)
        self._reserved_s = min(_RESERVED_S, ttl_s / 2)
        self._kept: dict[UploadId, ObjectLease] = {}
        self._sights: dict[UploadId, Sight] = {}
        self._attempts: dict[UploadId, asyncio.Task[ObjectLease | None]] = {}

    async def start(self) -> None:
        """Nothing to connect."""

    async def close(self) -> None:
        """Give up everything that is held, for at most two seconds after the last attempt."""
        if self._attempts:
            await asyncio.wait(self._attempts.values())
        ends = [lease.ended for lease in self._kept.values()]
        for lease in self._kept.values():
            lease.leave()
        if ends:
            await asyncio.wait(ends, timeout=_CLOSE_S)
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    async def acquire(
        self,
        upload: UploadId,
        *,
        timeout_s: float,
        on_ask: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> ObjectLease:
        """Take up the lease that is still here, or get it from the store."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    lease = self._kept.get(upload) or await self._win(upload)
                    if lease.maybe_hold(on_ask, on_lost):
                        return lease
                    await asyncio.wait([lease.ended])
        except TimeoutError as error:
            raise UploadLockedError("the upload is held by another replica") from error

    async def _win(self, upload: UploadId) -> ObjectLease:
        """Try until the lease is ours. Raises LockServiceError when the store keeps failing."""
        backoff = Backoff(self._poll_s, _LOOK_S)
        while True:
            try:
                # Not to be cancelled in the middle: nobody would know whether the lease is ours.
                lease = await asyncio.shield(self._ensure_attempt(upload))
            except StoreError as error:
                if not error.retryable or self._documents.contact.lost_s > _FAILING_S:
                    raise LockServiceError("the locks in the object store fail") from error
                await asyncio.sleep(backoff.next_s())
                continue
            if lease is not None:
                return lease
            await asyncio.sleep(self._poll_s)

    def _ensure_attempt(self, upload: UploadId) -> asyncio.Task[ObjectLease | None]:
        """Return an attempt: the one that goes on, where its claim was given up, or a new one."""
        attempt = self._attempts.get(upload)
        if attempt is None:
            attempt = self._attempts[upload] = asyncio.create_task(self._attempt(upload))
            attempt.add_done_callback(lambda ended: self._on_attempt__ended(upload, ended))
        return attempt

    def _on_attempt__ended(self, upload: UploadId, ended: asyncio.Task[ObjectLease | None]) -> None:
        del self._attempts[upload]
        if not ended.cancelled():
            ended.exception()  # perhaps nobody waits for it any longer

    async def _attempt(self, upload: UploadId) -> ObjectLease | None:
        """Take the upload if it may be taken, else ask for it."""
        loop = asyncio.get_running_loop()
        seen = await self._documents.read(upload)
        if seen is not None and not self._is_free(upload, seen.document, loop.time()):
            await self._ask(upload, seen)
            return None
        last = None if seen is None else seen.document
        wanted = Document(
            owner=self._replica,
            fence=1 if last is None else last.fence + 1,
            ttl=self._pulse.ttl_s,
            nonce=secrets.token_hex(8),
        )
        sent_at = loop.time()
        written = await self._documents.maybe_write(upload, wanted, seen)
        if written is None:
            return None
        self._sights.pop(upload, None)
        won = Won(
            seen=written,
            sent_at=sent_at,
            sticky=last is None or last.owner == self._replica,
        )
        lease = ObjectLease(upload, self._documents, won, self._pulse)
        self._kept[upload] = lease
        lease.ended.add_done_callback(lambda _: self._kept.pop(upload))
        return lease

    def _is_free(self, upload: UploadId, found: Document, now: float) -> bool:
        """Return whether it may be taken: released, ended, or ours and nobody knows of it here."""
        if found.owner == self._replica and found.held:
            return True  # a write of ours whose answer was lost
        if not found.held and found.asked in {"", self._replica}:
            return True
        sight = self._sights.get(upload)
        if sight is None or sight.nonce != found.nonce:
            self._sights.pop(upload, None)
            self._sights[upload] = Sight(found.nonce, now)
            if len(self._sights) > _SIGHTS:
                del self._sights[next(iter(self._sights))]
            return False
        return now - sight.since >= (found.ttl if found.held else self._reserved_s)

    async def _ask(self, upload: UploadId, seen: Seen) -> None:
        if seen.document.held and not seen.document.asked:
            asking = replace(seen.document, asked=self._replica)
            await self._documents.maybe_write(upload, asking, seen)
