"""Chunk mode: what is written into the bucket at the end of a request, and in which order.

First the bytes: whole parts into the session, what is left over into tails. Then the record, on
condition that it still is the version that this replica read: it alone says what counts, and only
one replica's is written. What it no longer names is deleted after that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    StoreError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.record import (
    Record,
    Tail,
    parse_record,
    record_key,
    render_record,
    tail_key,
)
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.remote.objects import Attributes, Condition, Piece

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId
    from fileloft_fast.stores.remote.objects import Objects

log = logging.getLogger(__name__)

_RECORD: Final = Attributes(content_type="application/json")


class Version(Struct, frozen=True):
    """One version of an upload's record; ``tag`` None where it is yet to be written at all."""

    record: Record
    tag: str | None


def plan_tails(
    tails: Sequence[Tail], shipped: int, offset: int, most: int
) -> tuple[tuple[Tail, ...], list[tuple[int, int]]]:
    """Return the tails that stay, and (start, end) of those that are to be put, up to *offset*.

    A tail that is less than twice what comes after it is put again, joined with that, if both make
    no more than *most* bytes. So there are few, and a byte is put a logarithmic number of times
    where a single tail would be put again with every request.
    """
    kept: list[Tail] = []
    start = shipped
    for tail in tails:
        if tail.start == start and tail.end <= offset:
            kept.append(tail)
            start = tail.end
    while kept and kept[-1].size < 2 * (offset - start) and offset - kept[-1].start <= most:
        start = kept.pop().start
    return tuple(kept), [(at, min(at + most, offset)) for at in range(start, offset, most)]


def check_record(record: Record) -> None:
    """Raise StoreError where parts and tails do not make up the bytes that an open record names."""
    end = record.shipped
    for tail in record.tails:
        if tail.start != end:
            break
        end = tail.end
    if end != record.info.offset:
        raise StoreError(
            f"the record of {record.info.id} names {end} of its {record.info.offset} bytes"
        )


class Checkpoints:
    """The records and tails of one bucket. *clock*: seconds since the epoch."""

    def __init__(self, objects: Objects, prefix: str, *, clock: Callable[[], float]) -> None:
        self.objects = objects
        self.prefix = prefix
        self.clock = clock

    async def read(self, upload: UploadId) -> Version | None:
        """Return the newest version of the record, None where there is none of ours.

        Raises StoreError where that cannot be told: an upload is never missing because of it.
        """
        found = await self.objects.fetch(record_key(self.prefix, upload))
        if found is None:
            return None
        contents, tag = found
        record = parse_record(contents, upload)
        return None if record is None else Version(record, tag)

    async def write(self, before: Version, record: Record, tried: Collection[str] = ()) -> Version:
        """Write *record* in the place of *before*; return it as it is then. May be tried again.

        *tried* are nonces of earlier writes in the place of *before* whose answers were lost: one
        that has arrived is written over. Raises UploadLockedError where another replica has written
        meanwhile, UploadNotFoundError where the record is gone.
        """
        key = record_key(self.prefix, record.info.id)
        contents = render_record(record)
        while True:
            try:
                head = await self.objects.put(key, contents, _RECORD, Condition(before.tag))
            except (ConditionFailedError, ObjectNotFoundError):
                before = await self._arrived(record, tried)
                if before.record.nonce == record.nonce:
                    return before
            else:
                return Version(record, head.tag)

    async def put_tail(self, upload: UploadId, piece: Piece) -> Tail:
        """Put bytes of an upload, which lie at the same place of a file, as a tail."""
        key = tail_key(self.prefix, upload, self.clock())
        await self.objects.put(key, piece, Attributes(metadata={ID_NAME: upload}))
        return Tail(key, piece.start, piece.length, piece.crc32c)

    async def drop(self, tails: Iterable[Tail]) -> None:
        """Delete tails that no record names; what stays behind is the sweeper's."""
        for tail in tails:
            try:
                await self.objects.delete(tail.key)
            except StoreError as error:
                log.warning("a tail was left behind", extra=fields(key=tail.key, error=error))

    async def _arrived(self, record: Record, tried: Collection[str]) -> Version:
        """Return the version that is in the way of *record*, which must be one of ours."""
        found = await self.read(record.info.id)
        if found is None:
            raise UploadNotFoundError("the upload was removed meanwhile")
        if found.record.nonce != record.nonce and found.record.nonce not in tried:
            raise UploadLockedError("another replica has gone on with the upload")
        return found
