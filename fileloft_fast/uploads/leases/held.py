"""A lease object that this replica holds: renewed, looked at, kept for a while, given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from fileloft_fast.errors import StoreError
from fileloft_fast.observe.log import fields
from fileloft_fast.uploads.leases.tenure import Tenure

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId
    from fileloft_fast.uploads.leases.documents import Documents, Seen

log = logging.getLogger(__name__)


class Pulse(Struct, frozen=True, kw_only=True):
    """How often a holder does what, in seconds."""

    ttl_s: float
    renew_s: float
    look_s: float
    """Between two looks whether somebody has asked."""
    keep_s: float
    """How long it is kept after a release, for the next request of the same client."""
    keep_look_s: float


class Won(Struct, frozen=True, kw_only=True):
    """A lease that has been written."""

    seen: Seen
    sent_at: float
    sticky: bool
    """Kept for a while after a release; not where the upload has come from another replica: a
    client whose requests go now here, now there would have to ask each time."""


class ObjectLease:
    """One upload that is held; see ``Lease``. Its own task does all that needs the store.

    ``ended`` is done when it was given up or lost.
    """

    def __init__(self, upload: UploadId, documents: Documents, won: Won, pulse: Pulse) -> None:
        self.upload = upload
        self._documents = documents
        self._seen = won.seen
        self._sticky = won.sticky
        self._pulse = pulse
        self._loop = asyncio.get_running_loop()
        self._renewed_at = won.sent_at
        self._tenure = Tenure(pulse.ttl_s, won.sent_at, self._on_end)
        self._on_ask: Callable[[], None] | None = None
        self._on_lost: Callable[[], None] | None = None
        self._kept_since: float | None = self._loop.time()  # who won it may wait no longer
        self._leaving = False
        self._changed = asyncio.Event()
        self.ended = self._loop.create_task(self._run())

    @property
    def fence(self) -> int:
        """The number of this holder."""
        return self._seen.document.fence

    @property
    def lost(self) -> bool:
        """Whether it can no longer be counted on."""
        return self._tenure.over

    def maybe_hold(self, on_ask: Callable[[], None], on_lost: Callable[[], None]) -> bool:
        """Take up a lease that is at hand; False where it is on its way out (see ``ended``)."""
        if self._leaving or self._tenure.over or self._seen.document.asked:
            self.leave()
            return False
        self._kept_since = None
        self._on_ask = on_ask
        self._on_lost = on_lost
        return True

    async def release(self) -> None:
        """Give the upload up, in the background: at once where somebody has asked for it."""
        self._on_ask = self._on_lost = None
        self._kept_since = self._loop.time()
        if self._seen.document.asked or not self._sticky:
            self._leaving = True
        self._changed.set()

    def leave(self) -> None:
        """Give it up in the background, whatever it is used for."""
        self._on_ask = self._on_lost = None
        self._leaving = True
        self._changed.set()

    # -- its task -------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self._tenure.over:
                if self._is_to_go():
                    await self._give_up()
                    return
                try:
                    await self._attend()
                except StoreError as error:  # logged; there is time until the tenure is over
                    log.debug("lease", extra=fields(id=self.upload, error=error))
                    await self._pause(self._pulse.look_s / 2)
        finally:
            self._tenure.end()

    async def _attend(self) -> None:
        """Renew where that is due, else wait and look."""
        due_at = self._renewed_at + self._pulse.renew_s
        if self._loop.time() >= due_at:
            await self._renew()
            return
        look_s = self._pulse.look_s if self._kept_since is None else self._pulse.keep_look_s
        acts = await self._pause(min(look_s, due_at - self._loop.time()))
        if not acts and self._loop.time() < due_at:
            await self._look()

    async def _pause(self, at_most_s: float) -> bool:
        """Wait; True where there is something to do before the time is over."""
        self._changed.clear()
        if self._is_to_go():
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                return await self._changed.wait()
        return False

    def _is_to_go(self) -> bool:
        if self._kept_since is not None and not self._leaving:
            kept_s = self._loop.time() - self._kept_since
            self._leaving = bool(self._seen.document.asked) or kept_s >= self._pulse.keep_s
        return self._leaving

    async def _renew(self) -> None:
        sent_at = self._loop.time()
        wanted = self._seen.document.written_anew()
        written = await self._documents.maybe_write(self.upload, wanted, self._seen)
        if written is None:  # somebody has asked, or a write whose answer was lost has come to pass
            await self._look()
            return
        self._seen = written
        self._renewed_at = sent_at
        self._tenure.renew(sent_at)

    async def _look(self) -> None:
        seen = await self._documents.read(self.upload)
        mine = self._seen.document
        if seen is None or (seen.document.owner, seen.document.fence) != (mine.owner, mine.fence):
            self._tenure.end()
            return
        self._seen = seen
        if seen.document.asked and not mine.asked and self._on_ask is not None:
            self._on_ask()

    async def _give_up(self) -> None:
        """Write that nobody holds it. Tries until it is over by itself."""
        while not self._tenure.over:
            try:
                released = self._seen.document.written_anew(held=False)
                if await self._documents.maybe_write(self.upload, released, self._seen):
                    return
                await self._look()
            except StoreError as error:
                log.debug("lease", extra=fields(id=self.upload, error=error))
                await asyncio.sleep(self._pulse.look_s / 2)

    def _on_end(self) -> None:
        self._changed.set()
        if self._on_lost is not None:
            self._on_lost()
