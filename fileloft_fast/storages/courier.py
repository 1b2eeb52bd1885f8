"""Brings whole files into a bucket: in one request, or in parts that travel side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectExistsError,
    RemoteUnavailableError,
    SessionLostError,
    StoreError,
)
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.crc import combine_crc32c
from fileloft_fast.flush.parts import plan_part_bytes
from fileloft_fast.flush.patience import Patience
from fileloft_fast.flush.piece import read_piece
from fileloft_fast.flush.unbroken import unbroken
from fileloft_fast.stores.remote.objects import ABSENT, Attributes, ObjectHead

if TYPE_CHECKING:
    from fileloft_fast.dataplane import Engine
    from fileloft_fast.stores.remote.objects import Condition, Objects, Piece, Receipt

T = TypeVar("T")

_ABORT_S: Final = 5.0  # a request, or the end of the server, waits meanwhile


class Pacing(Struct, frozen=True, kw_only=True):
    """How files travel: in parts of what size, how many at once, and how long one is tried.

    *taken* tells how many bytes the store has been sent: on a slow link, that something moves.
    """

    part_bytes: int
    parts_at_once: int
    patience_s: float
    taken: Callable[[], int] = lambda: 0


class Parcel(Struct, frozen=True, kw_only=True):
    """A file that is to be the object at ``key``.

    ``attributes`` carry its own id (``ID_NAME``), by which an object is known to be this file.
    """

    key: str
    descriptor: int
    size: int
    attributes: Attributes
    overwrite: bool

    @property
    def condition(self) -> Condition | None:
        """What must hold where it arrives."""
        return None if self.overwrite else ABSENT

    def is_at(self, head: ObjectHead | None) -> bool:
        """Whether *head* is of the object that this file has become."""
        own = self.attributes.metadata[ID_NAME]
        return head is not None and head.size == self.size and head.metadata.get(ID_NAME) == own


class Courier:
    """Ships the files of one storage."""

    def __init__(self, objects: Objects, engine: Engine, pacing: Pacing) -> None:
        self._objects = objects
        self._engine = engine
        self._pacing = pacing
        self._turns = asyncio.Semaphore(pacing.parts_at_once)

    async def ship(self, parcel: Parcel) -> ObjectHead:
        """Return the object that *parcel* has become.

        A file that was shipped before, whose answer was lost, is found where it is. Where this
        fails, no part of it stays. Raises ObjectExistsError, TooLargeError, StoreError.
        """
        part_bytes = plan_part_bytes(
            self._objects.limits, self._pacing.part_bytes, parcel.size, max_size=0
        )
        if parcel.size <= part_bytes:
            return await self._ship_whole(parcel)
        try:
            return await self._ship_parts(parcel, part_bytes)
        except SessionLostError as error:
            raise RemoteUnavailableError("the object store has lost parts of a file") from error

    async def _ship_whole(self, parcel: Parcel) -> ObjectHead:
        async def put() -> ObjectHead:
            try:
                return await self._objects.put(
                    parcel.key,
                    piece if piece.length else b"",
                    parcel.attributes,
                    parcel.condition,
                )
            except ConditionFailedError:
                return await self._arrived(parcel)

        async with self._turns:
            piece = await self._read(parcel, 0, parcel.size)
            return await self._insist(put)

    async def _ship_parts(self, parcel: Parcel, part_bytes: int) -> ObjectHead:
        session = await self._insist(lambda: self._objects.create(parcel.key, parcel.attributes))
        try:
            receipts = await self._put_parts(parcel, session, part_bytes)
            return await self._insist(lambda: self._complete(parcel, session, receipts))
        except BaseException:
            await unbroken(self._abort(parcel, session))
            raise

    async def _put_parts(self, parcel: Parcel, session: str, part_bytes: int) -> list[Receipt]:
        """Put every part, a few at once; return what ``complete`` names them by."""
        parts = enumerate(range(0, parcel.size, part_bytes), 1)
        receipts: list[Receipt] = []

        async def work() -> None:
            for number, start in parts:  # whoever is free takes the next one
                length = min(part_bytes, parcel.size - start)
                async with self._turns:
                    piece = await self._read(parcel, start, length)
                    receipts.append(await self._put_part(parcel, session, number, piece))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._pacing.parts_at_once, -(-parcel.size // part_bytes))):
                    group.create_task(work())
        except BaseExceptionGroup as failed:
            first = failed.exceptions[0]  # one is enough to tell; the others were cancelled
            raise first from first.__cause__
        return sorted(receipts, key=lambda receipt: receipt.number)

    async def _put_part(self, parcel: Parcel, session: str, number: int, piece: Piece) -> Receipt:
        return await self._insist(
            lambda: self._objects.put_part(parcel.key, session, number, piece.start, piece)
        )

    async def _complete(self, parcel: Parcel, session: str, receipts: list[Receipt]) -> ObjectHead:
        """Make the object of its parts, or find that it was made and the answer was lost."""
        crc32c = 0
        for receipt in receipts:
            crc32c = combine_crc32c(crc32c, receipt.crc32c, receipt.size)
        try:
            return await self._objects.complete(
                parcel.key,
                session,
                receipts,
                size=parcel.size,
                crc32c=crc32c,
                attributes=parcel.attributes,
                condition=parcel.condition,
            )
        except SessionLostError:
            head = await self._objects.head(parcel.key)
            if head is None or not parcel.is_at(head):
                raise
            return head
        except ConditionFailedError:
            return await self._arrived(parcel)

    async def _arrived(self, parcel: Parcel) -> ObjectHead:
        """Return the object that stands in the way, if it is this file.

        Raises ObjectExistsError; RemoteUnavailableError where nothing does any more.
        """
        head = await self._objects.head(parcel.key)
        if head is None or parcel.overwrite:
            raise RemoteUnavailableError("the object store has refused a write for no reason")
        if not parcel.is_at(head):
            raise ObjectExistsError("there is an object at this path")
        return head

    async def _abort(self, parcel: Parcel, session: str) -> None:
        """Throw the parts away; what cannot be thrown away now is for the bucket's own rules."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(_ABORT_S):
                await self._objects.abort(parcel.key, session)

    async def _read(self, parcel: Parcel, start: int, length: int) -> Piece:
        return await read_piece(self._engine, parcel.descriptor, start, length)

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        pacing = self._pacing
        return await Patience(pacing.patience_s, moved=pacing.taken).insist(attempt)
