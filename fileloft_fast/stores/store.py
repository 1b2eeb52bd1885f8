"""What ``uploads`` asks of a store; every backend answers the same way.

Nobody but the holder of an upload's lock may call what changes it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from asyncio import Future

    from fileloft_fast.model import ByteStream, Checksum, FileSlice, UploadId, UploadInfo


class Look(NamedTuple):
    """Some of the uploads in a store: how many were looked at, and those that are wanted."""

    seen: int
    uploads: Sequence[UploadId]


class Found(Protocol):
    """An upload as it was found; handed back to the store that found it."""

    @property
    def info(self) -> UploadInfo:
        """What is known of it."""


F = TypeVar("F", bound=Found)


class Reception(Protocol):
    """Bytes on their way from a lent socket; what ``dataplane.Transfer`` is, or is made of."""

    @property
    def done(self) -> Future[int]:
        """Resolve with ``moved`` when it is over; never fails."""

    @property
    def moved(self) -> int:
        """Bytes that are stored, live."""

    @property
    def errno(self) -> int:
        """0 while it runs and where it did not fail; else why it ended early."""

    def cancel(self) -> None:
        """End it within milliseconds; what was queued in the socket is stored first."""

    def progress(self) -> Future[int]:
        """Store what is queued in the socket now, then resolve with ``moved``; never fails."""


class Appender(Protocol):
    """An upload that is open for one request's bytes.

    Ends with exactly one of ``commit``, ``keep`` and ``discard``.
    """

    received: int
    """Bytes written through this appender."""

    async def write(self, data: bytes) -> None:
        """Append *data*, which may have to wait for room.

        Raises StoreError, NotStoredError, UploadLockedError; what was written before counts.
        """

    def cancel(self) -> None:
        """End a ``write`` that waits for room: it raises UploadLockedError."""

    def receive(
        self, socket: int, length: int, prefix: bytes, *, idle_ms: int, min_rate: int
    ) -> Reception:
        """Start to append *prefix* and what the socket brings, *length* bytes together.

        It ends early after *idle_ms* milliseconds without a byte, or below *min_rate* bytes/s.
        """

    async def settle(self, transfer: Reception) -> None:
        """Wait for the end of *transfer* and count its bytes as received.

        Raises StoreError where the disk was the reason to end.
        """

    async def checksum(self, algorithm: str) -> bytes:
        """Return the digest of what was appended.

        Free in the algorithm that the appender was opened with; any other reads the bytes again.
        """

    async def commit(self) -> UploadInfo:
        """Acknowledge: the bytes are as durable as ``FILELOFT_SYNC`` promises when this returns."""

    async def keep(self) -> None:
        """Close without an acknowledgement; the bytes count, durable or not."""

    async def discard(self) -> None:
        """Take every byte back: the offset is what it was."""


class Store(Protocol[F]):
    """A place for uploads."""

    @property
    def guarded(self) -> bool:
        """Whether even a look needs the lock: a holder's bytes count only once it has let go."""

    async def create(self, info: UploadInfo, body: bytes) -> None:
        """Make an upload that holds *body* (``info.offset`` bytes). Never overwrites.

        Raises StoreError, after which nothing is left.
        """

    async def load(self, upload: UploadId) -> F:
        """Return the upload; unverified bytes do not count. UploadNotFoundError, StoreError."""

    async def declare(self, found: F, length: int | None, *, awaits_end: bool = False) -> F:
        """Set the length, and whether the upload's end is still to come. Replaces the record."""

    async def append(self, found: F, body: bytes) -> UploadInfo:
        """Append a short *body* in one step and acknowledge it, as ``Appender.commit`` does."""

    async def open(
        self, found: F, *, checked: bool = False, algorithm: str | None = None
    ) -> Appender:
        """Open for appending, hashing with *algorithm* on the way where one is given.

        The bytes of a *checked* appender stay invisible until ``commit``, also after a crash.
        """

    async def digests(self, found: F) -> tuple[Checksum, ...]:
        """Return what all the bytes that the upload holds hash to, in ``found.info.hashes``.

        Complete or not: as they are now. Hashes what a crash has left unhashed. Raises StoreError
        where that cannot be told any more.
        """

    async def concatenate(self, info: UploadInfo, parts: Sequence[F]) -> UploadInfo:
        """Make the final upload *info* out of *parts*, in order."""

    async def remove(self, upload: UploadId) -> bool:
        """Delete an upload and all that belongs to it; False where there was none."""

    async def confirm(self, found: F) -> None:
        """Return when what *found* says may be told: a finished upload is where it is to be kept.

        What it hashes to is known then, as ``load`` tells it, where that can be told at all.

        Raises NotStoredError or StoreError where that does not come to pass in time.
        """

    async def read(self, found: F, start: int, length: int) -> FileSlice | ByteStream:
        """Open bytes of a finished upload for sending; a removal does not disturb the reader.

        Raises NotStoredError while they can be read nowhere.
        """

    async def locate(self, found: F) -> str | None:
        """Return a URL where the client may get a finished upload itself; None for no such URL."""

    async def free_bytes(self) -> int:
        """Return how much may still be written; at most a second old."""

    def names(self) -> AsyncIterator[UploadId]:
        """Go through the uploads there are, in no order, without holding the loop up."""

    def aged(self, since: float, until: float) -> AsyncIterator[Look]:
        """Go through them as ``names`` does; among the wanted are all last written in that time.

        From *since* to *until*, seconds since the epoch. Others may be among them, too.
        """

    async def tidy(self) -> int:
        """Take away what belongs to no upload; return how many things that were."""


AnyStore: TypeAlias = Store[Any]
"""A store for those who hand back to it what it found, and never look inside."""
