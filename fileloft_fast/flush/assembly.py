"""Puts the parts of a spooled store together."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.config import AckMode
from fileloft_fast.flush.carrier import Carrier, Told
from fileloft_fast.flush.checkpoint import Checkpoints
from fileloft_fast.flush.chunk import ChunkMode
from fileloft_fast.flush.compress import Compressor
from fileloft_fast.flush.copies import Copies
from fileloft_fast.flush.dock import Dock, Squeeze
from fileloft_fast.flush.flusher import Flusher
from fileloft_fast.flush.ledger import SpoolLedger
from fileloft_fast.flush.mode import FinishMode, SpoolMode
from fileloft_fast.flush.orphans import Orphans
from fileloft_fast.flush.quarantine import EVERY_SESSION, Quarantine
from fileloft_fast.flush.record_ledger import RecordLedger
from fileloft_fast.flush.recovery import Recovery, ensure_owner
from fileloft_fast.flush.removal import Removal
from fileloft_fast.flush.shelf import Shelf
from fileloft_fast.flush.spool_room import SpoolLimits, SpoolRoom
from fileloft_fast.flush.store import SpooledStore
from fileloft_fast.model import UploadId  # noqa: TC001 - a field of a struct, whose signature is read

if TYPE_CHECKING:
    from fileloft_fast.flush.journal import Entry
    from fileloft_fast.flush.ledger import Ledger
    from fileloft_fast.flush.spool import Spool
    from fileloft_fast.stores.remote.objects import Objects

_PARTS_EACH: Final = 3
"""Whole parts that an upload may have waiting: one leaves, one waits, one fills up."""

_SHELF_FILES: Final = 1024
_SHELF_PARTS: Final = 64
"""What chunk mode keeps of files between requests, so that it need not fetch them again."""


class FlushPlan(Struct, frozen=True, kw_only=True):
    """How a spooled store works.

    *patience_s*: how long a request waits for the store while nothing moves. *zstd_level* and
    *redirect_ttl_s*: 0 is off. *stray_leases*: locks are kept in the bucket, and left there.
    *bucket*: a name for what *objects* are, by which another one is told from it.
    """

    ack: AckMode = AckMode.FINISH
    prefix: str = ""
    part_bytes: int = 16 * 1024 * 1024
    max_size: int = 0
    spool_max_bytes: int = 0
    min_free_bytes: int = 0
    parts_at_once: int = 4
    patience_s: float = 60.0
    zstd_level: int = 0
    redirect_ttl_s: int = 0
    ttl_s: int | None = None
    expire_finished: bool = False
    orphan_age_s: float = 3600.0
    listing_s: float = 0.0
    """In chunk mode: how often the bucket is gone through for expired uploads, at most."""
    stray_leases: bool = False
    bucket: str = ""
    stored: Told | None = None
    """Hears of each upload whose object is there; what it raises is tried again."""
    owner: str = ""
    """What the bucket knows the spool by; "" where it says so itself."""
    mine: Callable[[UploadId], bool] = lambda _: True
    """Tells which uploads are this spool's, of several that go by one name."""
    taken: Callable[[], int] = lambda: 0
    """Tells how many bytes the store has been sent: on a slow link, that something moves."""


async def open_store(spool: Spool, objects: Objects, plan: FlushPlan) -> SpooledStore:
    """Return a store that has recovered what the last process left, and ships it already.

    Never waits for the bucket. *spool* and *objects* stay the caller's. Raises OSError, StoreError.
    """
    if plan.ack is AckMode.CHUNK:
        return await _open_shared(spool, objects, plan)
    return await _open_owned(spool, objects, plan)


async def _open_shared(spool: Spool, objects: Objects, plan: FlushPlan) -> SpooledStore:
    """Return the store of chunk mode: any replica goes on with any upload."""
    shelf = Shelf(spool, most=_SHELF_FILES, most_bytes=_SHELF_PARTS * plan.part_bytes)
    ledger = RecordLedger(Checkpoints(objects, plan.prefix, clock=time.time), shelf)
    dock = _dock(spool, objects, plan, ledger)
    mode = ChunkMode(
        dock,
        ledger,
        ttl_s=plan.ttl_s,
        expire_finished=plan.expire_finished,
        listing_s=plan.listing_s,
    )
    orphans = Orphans(objects, plan.prefix, owner="", min_age_s=plan.orphan_age_s)

    async def sweep() -> int:
        now = time.time()
        return await orphans.abort_sessions(lambda _: None, now) + await orphans.delete_strays(now)

    await mode.start()
    return SpooledStore(dock, mode, sweep=sweep, redirect_ttl_s=plan.redirect_ttl_s)


async def _open_owned(spool: Spool, objects: Objects, plan: FlushPlan) -> SpooledStore:
    """Return the store of finish or spool mode: an unfinished upload is this spool's."""
    owner = plan.owner or await ensure_owner(spool)
    orphans = Orphans(
        objects, plan.prefix, owner=owner, min_age_s=plan.orphan_age_s, mine=plan.mine
    )
    quarantine = Quarantine()
    keeps = plan.ack is AckMode.SPOOL
    copies = Copies(spool.free_bytes) if keeps else None
    ledger = SpoolLedger(
        spool,
        objects,
        quarantine,
        prefix=plan.prefix,
        owner=owner,
        bucket=plan.bucket,
        copies=copies,
    )

    def squeeze(upload: UploadId, entries: Sequence[Entry] = (), level: int = 0) -> Compressor:
        level = level or plan.zstd_level or 1
        return Compressor(spool.directory, upload, level, ledger.journal(upload), entries)

    dock = _dock(
        spool,
        objects,
        plan,
        ledger,
        squeeze=squeeze if plan.zstd_level else None,
        quarantine=quarantine,
    )
    if copies is not None:
        copies.serve(dock.flusher)
    removal = Removal(dock, ledger, orphans)
    kind = SpoolMode if keeps else FinishMode
    mode = kind(
        dock,
        ledger,
        removal,
        ttl_s=plan.ttl_s,
        expire_finished=plan.expire_finished,
        mine=plan.mine,
    )

    async def sweep() -> int:
        local = {upload: [""] async for upload in spool.names()}

        def known(upload: UploadId) -> Container[str] | None:
            if upload in quarantine:
                return EVERY_SESSION
            shipment = dock.flusher.shipments.get(upload)
            return local.get(upload) if shipment is None else [shipment.session]

        now = time.time()
        swept = await removal.clean() + await orphans.abort_sessions(known, now)
        if plan.stray_leases or objects.limits.sequential:  # joins of Google's leave pieces behind
            swept += await orphans.delete_strays(now)
        return swept

    await Recovery(dock, mode, ledger, removal, squeeze).run()
    return SpooledStore(dock, mode, sweep=sweep, redirect_ttl_s=plan.redirect_ttl_s, owner=owner)


def _dock(  # noqa: PLR0913 - all there is
    spool: Spool,
    objects: Objects,
    plan: FlushPlan,
    ledger: Ledger,
    *,
    squeeze: Squeeze | None = None,
    quarantine: Quarantine | None = None,
) -> Dock:
    """Return the dock of *spool*, with a flusher that is at work."""
    limits = SpoolLimits(
        parts_each=None if plan.ack is AckMode.SPOOL else _PARTS_EACH,
        spool_max_bytes=plan.spool_max_bytes,
        min_free_bytes=plan.min_free_bytes,
    )
    spool.flusher = Flusher(
        Carrier(spool, objects, ledger, plan.stored),
        SpoolRoom(limits, spool.free_bytes),
        parts_at_once=plan.parts_at_once,
        patience_s=plan.patience_s,
        taken=plan.taken,
    )
    return Dock(
        spool,
        objects,
        spool.flusher,
        prefix=plan.prefix,
        part_bytes=plan.part_bytes,
        max_size=plan.max_size,
        squeeze=squeeze,
        quarantine=quarantine,
        told=plan.stored,
    )
