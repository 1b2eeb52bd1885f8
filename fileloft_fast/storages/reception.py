"""Bytes of an object on their way into a storage's folder, where nobody sees them yet."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE, digest_of
from fileloft_fast.errors import StorageFullError, TooLargeError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.tus.effects import Coding, Create
from fileloft_fast.uploads.intake import Intake, check_held

if TYPE_CHECKING:
    from fileloft_fast.model import Body
    from fileloft_fast.storages.form_file import FormFile
    from fileloft_fast.stores import Appender, FsAppender, FsStore
    from fileloft_fast.uploads.locks import Hold, Locks


class Received(Protocol):
    """What has come of a body; an ``Appender`` is one."""

    @property
    def received(self) -> int:
        """How many bytes."""

    async def checksum(self, algorithm: str) -> bytes:
        """Return their digest."""


Check = Callable[[Received], Awaitable[None]]
"""Looks at what has come before it is acknowledged; what it raises throws everything away."""

_Pour = Callable[["FsAppender", "Hold"], Awaitable[None]]


class AtHand(Struct, frozen=True):
    """A whole body in memory."""

    data: bytes

    @property
    def received(self) -> int:
        """See ``Received``."""
        return len(self.data)

    async def checksum(self, algorithm: str) -> bytes:
        """See ``Received``."""
        return digest_of(algorithm, self.data)


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
        form: FormFile | None = None,
        check: Check | None = None,
        algorithm: str | None = None,
    ) -> UploadInfo:
        """Return a complete upload for *path* with what *body* brings.

        It is as durable as ``FILELOFT_SYNC`` promises. *size* is the number of its bytes, None
        where only the body's end tells. *pieces* are the bytes where those of the body have to be
        decoded first, and *form* has them where the body is a form. The digest in *algorithm* is
        computed on the way and free for *check*. However this ends but well, nothing is left.
        Raises WireError, StoreError.
        """
        await self.check_space()
        check_size(size, max_size)
        info = draft(path, size)
        data = _maybe_at_hand(body, size, coding, pieces, form)
        if data is not None:
            check_size(len(data), max_size)
            if check is not None:
                await check(AtHand(data))
            info = replace(info, offset=Offset(len(data)), length=len(data))
            await self.store.create(info, data)
            return info
        wanted = Create(length=size, has_body=True, size=size, coding=coding)
        room = max_size or None if size is None else size

        async def pour(appender: FsAppender, hold: Hold) -> None:
            if form is not None:
                await form.pour(appender, self.intake, hold, room)
            elif pieces is not None:
                await _write_all(appender, pieces, room)
            else:
                await self.intake.pour(appender, wanted, body, room, hold)

        async with self.locks.hold(info.id, body) as hold:
            await self.store.create(info, b"")
            try:
                return await self._fill(info, hold, pour, check, algorithm)
            except BaseException:
                await self.store.remove(info.id)
                raise

    async def _fill(
        self,
        info: UploadInfo,
        hold: Hold,
        pour: _Pour,
        check: Check | None,
        algorithm: str | None,
    ) -> UploadInfo:
        appender = await self.store.open(await self.store.load(info.id), algorithm=algorithm)
        hold.appender = appender
        try:
            await pour(appender, hold)
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
        found = await self.store.declare(found, found.info.offset)
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


def _maybe_at_hand(
    body: Body,
    size: int | None,
    coding: Coding,
    pieces: AsyncGenerator[bytes, None] | None,
    form: FormFile | None,
) -> bytes | None:
    """Return the whole object where all of it has come already, so that one step stores it."""
    if form is not None:
        return form.at_hand()
    if pieces is not None or coding is not Coding.IDENTITY or size is None or not body.at_hand:
        return None
    return body.take()


async def _write_all(
    appender: Appender, pieces: AsyncGenerator[bytes, None], room: int | None
) -> None:
    async with aclosing(pieces):
        async for piece in pieces:
            check_size(appender.received + len(piece), room or 0)
            await appender.write(piece)
