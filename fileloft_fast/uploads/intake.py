"""The body of one request on its way into one upload: at hand, lent to the engine, or in pieces."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.dataplane import digest_of
from fileloft_fast.errors import (
    BodyCutError,
    BodyTimeoutError,
    ChecksumMismatchError,
    DigestMismatchError,
    InvalidHeaderError,
    OverloadedError,
    TooLargeError,
    UploadLockedError,
)
from fileloft_fast.model import Checksum
from fileloft_fast.tus.effects import Append, Coding, Create
from fileloft_fast.tus.headers import parse_checksum
from fileloft_fast.uploads.decoding import Decoding

if TYPE_CHECKING:
    from fileloft_fast.model import Body, UploadInfo
    from fileloft_fast.stores import AnyStore, Appender, Found
    from fileloft_fast.uploads.locks import Hold

_TRAILER: Final = "upload-checksum"
_MISMATCH: Final = "the body does not match its checksum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Brings bodies into a store.

    *idle_ms* and *min_rate* (bytes a second) say when a lent socket is too slow; *algorithms* maps
    each checksum that is offered to the size of its digest.
    """

    store: AnyStore
    algorithms: Mapping[str, int]
    idle_ms: int
    min_rate: int
    decoding: Decoding = field(default_factory=Decoding)

    async def bring(
        self, found: Found, wanted: Append | Create, body: Body, room: int | None, hold: Hold
    ) -> UploadInfo:
        """Append *body* to the upload and acknowledge it; return the upload as it is then.

        However a plain body ends early, the bytes that came are kept (tus 1.0, PATCH); a checked
        one leaves nothing. Raises WireError, StoreError.
        """
        if body.at_hand and wanted.coding is Coding.IDENTITY:
            data = self.verified(wanted, body, room)
            check_held(hold)
            return await self.store.append(found, data)
        checked = wanted.checksum is not None or wanted.checksum_trailer
        algorithm = wanted.checksum.algorithm if wanted.checksum is not None else None
        appender = await self.store.open(found, checked=checked, algorithm=algorithm)
        hold.appender = appender
        try:
            await self.pour(appender, wanted, body, room, hold)
            if checked:
                await self._verify(appender, self._expected(wanted, body))
            check_held(hold)
        except ChecksumMismatchError:
            await appender.discard()
            raise
        except BaseException:
            await appender.keep()
            raise
        return await appender.commit()

    def verified(self, wanted: Append | Create, body: Body, room: int | None) -> bytes:
        """Return a body that is all at hand. Raises TooLargeError, ChecksumMismatchError."""
        data = body.take()
        _check_room(len(data), room)
        checksum = self._expected(wanted, body)
        if checksum is not None and digest_of(checksum.algorithm, data) != checksum.digest:
            raise ChecksumMismatchError(_MISMATCH)
        return data

    async def pour(
        self, appender: Appender, wanted: Append | Create, body: Body, room: int | None, hold: Hold
    ) -> None:
        """Append *body*, decoded, and acknowledge nothing. Raises WireError, StoreError."""
        prefix = b""
        if wanted.coding is Coding.IDENTITY and body.length is not None:
            prefix = body.take()
            if await self.receive(appender, body, prefix, hold, length=body.length):
                return
        zstd = wanted.coding is Coding.ZSTD
        pieces = self.decoding.decoded(body) if zstd else _pieces(body, prefix)
        body.watch(appender.cancel)
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    _check_room(appender.received + len(piece), room)
                    hold.writing = True
                    await appender.write(piece)
                    hold.writing = False
        finally:
            hold.writing = False
            body.watch(None)

    async def receive(
        self, appender: Appender, body: Body, prefix: bytes, hold: Hold, *, length: int
    ) -> bool:
        """Append *prefix*, and let the engine read the rest of the body from the socket.

        Both together are *length* bytes. False where the socket cannot be lent; then nothing was
        done. Raises WireError, StoreError.
        """
        # Late binding: lending may fail, and only then is there no transfer to cancel.
        try:
            socket = body.lend(lambda: transfer.cancel())  # noqa: PLW0108
        except OSError as error:
            raise OverloadedError("no descriptors left") from error
        if socket is None:
            return False
        moved = 0
        try:
            transfer = appender.receive(
                socket, length, prefix, idle_ms=self.idle_ms, min_rate=self.min_rate
            )
            hold.transfer = transfer
            try:
                await appender.settle(transfer)
            finally:
                hold.transfer = None
                moved = transfer.moved
        except OSError as error:
            raise OverloadedError("no descriptors or threads left") from error
        finally:
            body.restore(max(0, moved - len(prefix)))
        if moved < length:
            raise _why(body, transfer.errno)
        return True

    def _expected(self, wanted: Append | Create, body: Body) -> Checksum | None:
        """Return the checksum that the head or, where it was announced, the trailer gave."""
        if not wanted.checksum_trailer:
            return wanted.checksum
        value = body.trailers().get(_TRAILER)
        if value is None:
            raise InvalidHeaderError("the trailer lacks Upload-Checksum")
        return parse_checksum(value, self.algorithms)

    async def _verify(self, appender: Appender, expected: Checksum | None) -> None:
        assert expected is not None
        if await appender.checksum(expected.algorithm) != expected.digest:
            raise ChecksumMismatchError(_MISMATCH)


def check_held(hold: Hold) -> None:
    """Raise UploadLockedError where another replica may have the upload by now."""
    if hold.lost:
        raise UploadLockedError("another replica may have the upload")


def hashed(info: UploadInfo, data: bytes) -> UploadInfo:
    """Return *info*, which holds *data* alone, with what the whole hashes to, once it is complete.

    Raises DigestMismatchError where its client has told something else.
    """
    if not (info.hashes and info.complete):
        return info
    digests = tuple(Checksum(name, digest_of(name, data)) for name in info.hashes)
    check_expected(info, digests)
    return replace(info, digests=digests)


def check_expected(info: UploadInfo, digests: tuple[Checksum, ...]) -> None:
    """Raise DigestMismatchError where *digests* of the whole are not what the client has told."""
    if not set(info.expected) <= set(digests):
        raise DigestMismatchError("the upload does not match Repr-Digest")


async def _pieces(body: Body, prefix: bytes) -> AsyncGenerator[bytes, None]:
    if prefix:
        yield prefix
    while piece := await body.read():
        yield piece


def _check_room(size: int, room: int | None) -> None:
    """Raise TooLargeError where a body whose size no head told runs past what the upload holds."""
    if room is not None and size > room:
        raise TooLargeError("the body is longer than what is left of the upload")


def _why(body: Body, number: int) -> Exception:
    """Return the reason why a transfer ended before the body did."""
    if body.error is not None:
        return body.error
    if number == errno.ETIMEDOUT:
        return BodyTimeoutError("the body stalled")
    if number == errno.ECANCELED:
        return UploadLockedError("a newer request took the upload over")
    return BodyCutError("the connection ended before the body did")
