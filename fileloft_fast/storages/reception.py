"""Bytes of an object on their way into a storage's folder, where nobody sees them yet."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import StorageFullError, TooLargeError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.tus.effects import Coding, Create
from fileloft_fast.uploads.intake import Intake, check_held

if TYPE_CHECKING:
    from fileloft_fast.model import Body
    from fileloft_fast.stores import Appender, FsStore
    from fileloft_fast.uploads.locks import Hold, Locks

Check = Callable[["Appender"], Awaitable[None]]
"""Looks at what has come before it is acknowledged; what it raises throws everything away."""


class Reception:
    """Stages whole objects: bodies go through the engine, as those of PATCH do.

    *min_free_bytes*: below so much free space nothing is begun (507).
    """

    def __init__(
        self, store: FsStore, locks: Locks, intake: Intake, *, min_free_bytes: int
    ) -> None:
        self.store = store
        self.locks = locks
        self.intake = intake
        self._min_free_bytes = min_free_bytes

    async def receive(  # noqa: PLR0913 - a request, each thing by its name
        self,
        path: str,
        body: Body,
        size: int | None,
        *,
        max_size: int,
        coding: Coding = Coding.IDENTITY,
        pieces: AsyncGenerator[bytes, None] | None = None,
        check: Check | None = None,
    ) -> UploadInfo:
        """Return a complete upload for *path* with what *body* brings.

        It is as durable as ``FILELOFT_SYNC`` promises. *size* is the number of its bytes, None
        where only the body's end tells. *pieces* are the bytes where those of the body have to be
        decoded first. However this ends but well, nothing is left.
        Raises WireError, StoreError.
        """
        await self.check_space()
        check_size(size, max_size)
        info = draft(path, size)
        at_hand = pieces is None and check is None and coding is Coding.IDENTITY and body.at_hand
        if at_hand and size is not None:
            data = body.take()
            info = replace(info, offset=Offset(len(data)))
            await self.store.create(info, data)
            return info
        async with self.locks.hold(info.id, body) as hold:
            await self.store.create(info, b"")
            try:
                wanted = Create(length=size, has_body=True, size=size, coding=coding)
                return await self._fill(info, wanted, body, max_size, hold, pieces, check)
            except BaseException:
                await self.store.remove(info.id)
                raise

    async def _fill(  # noqa: PLR0913, PLR0917 - see receive
        self,
        info: UploadInfo,
        wanted: Create,
        body: Body,
        max_size: int,
        hold: Hold,
        pieces: AsyncGenerator[bytes, None] | None,
        check: Check | None,
    ) -> UploadInfo:
        room = max_size or None if wanted.size is None else wanted.size
        appender = await self.store.open(await self.store.load(info.id))
        hold.appender = appender
        try:
            if pieces is None:
                await self.intake.pour(appender, wanted, body, room, hold)
            else:
                await _write_all(appender, pieces, room)
            if check is not None:
                await check(appender)
            check_held(hold)
        except BaseException:
            await appender.keep()
            raise
        return await self.end(await appender.commit())

    async def end(self, info: UploadInfo) -> UploadInfo:
        """Return *info* complete: where nothing told its length before, it is what has come."""
        if info.complete:
            return info
        found = await self.store.load(info.id)
        found = await self.store.declare_length(found, found.info.offset)
        if self.store.promised(found.info) != SYNC_NONE:
            await self.store.append(found, b"")  # syncs what nobody had to sync before
        return found.info

    async def check_space(self) -> None:
        """Raise StorageFullError where too little is left to begin anything."""
        if await self.store.free_bytes() < self._min_free_bytes:
            raise StorageFullError("less than FILELOFT_MIN_FREE is left")


def draft(path: str, size: int | None) -> UploadInfo:
    """Return an upload that is to be made for *path*."""
    now = time.time()
    return UploadInfo(
        id=UploadId(os.urandom(16).hex()),
        offset=Offset(0),
        length=size,
        created_at=now,
        modified_at=now,
        path=path,
    )


def check_size(size: int | None, max_size: int) -> None:
    """Raise TooLargeError where *size* bytes are more than *max_size*, 0 for no bound."""
    if size is not None and max_size and size > max_size:
        raise TooLargeError(f"the object may have at most {max_size} bytes")


async def _write_all(
    appender: Appender, pieces: AsyncGenerator[bytes, None], room: int | None
) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            check_size(appender.received + len(piece), room or 0)
            await appender.write(piece)
