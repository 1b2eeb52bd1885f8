"""What is known of an object, what is wished for of one that comes, and where objects lie."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from fileloft_fast.model import ByteStream, FileSlice, UploadId

UNKNOWN_TYPE: Final = "application/octet-stream"
_LONGEST_TYPE: Final = 255


class Entry(Struct, frozen=True, kw_only=True):
    """One object that may be shown.

    ``etag`` is without quotation marks. ``modified_at`` is seconds since the epoch, when it came.
    ``metadata`` are pairs of printable ASCII, names in lower case. ``blob`` is the upload in the
    storage's folder that holds the bytes, "" where they lie in a bucket.
    """

    path: str
    size: int
    etag: str
    content_type: str = UNKNOWN_TYPE
    modified_at: float = 0.0
    metadata: tuple[tuple[str, str], ...] = ()
    blob: str = ""


class Wish(Struct, frozen=True, kw_only=True):
    """An object that is to be: where, how large at most (0 for no bound), and described how.

    ``overwrite``: what is there is replaced. ``etag`` is what it gets, "" for one of our making.
    With a ``nonce``, it is of the ticket of that name, and nobody sees it before it is verified,
    which has to be by ``expires_at``, seconds since the epoch.
    """

    path: str
    max_size: int = 0
    overwrite: bool = True
    content_type: str = UNKNOWN_TYPE
    metadata: tuple[tuple[str, str], ...] = ()
    etag: str = ""
    nonce: str = ""
    expires_at: float = 0.0

    def entry(self, blob: UploadId, size: int) -> Entry:
        """Return what the object is, now that upload *blob* has all of its *size* bytes."""
        return Entry(
            path=self.path,
            size=size,
            etag=self.etag or made_etag(blob),
            content_type=_shown_type(self.content_type),
            modified_at=time.time(),
            metadata=self.metadata,
            blob=blob,
        )


class Pending(Struct, frozen=True):
    """An object that is all there and not verified yet."""

    entry: Entry
    overwrite: bool
    expires_at: float


class Shelf(Protocol):
    """Where the permanent objects of one storage are.

    What is staged is an upload in the storage's folder, complete and durable; who publishes it
    holds its lock.
    """

    async def publish(self, entry: Entry, *, overwrite: bool) -> Entry:
        """Make what is staged in ``entry.blob`` the object at ``entry.path``; return it as it is.

        From then on it is there, whole and durable. Raises ObjectExistsError, StoreError; then
        what was staged is still there.
        """

    async def promote(self, pending: Pending) -> bool:
        """Publish a pending object and forget that it was pending; False where it was not any more.

        Raises as ``publish`` does, and it stays pending.
        """

    async def look(self, path: str) -> Entry | None:
        """Return the object at *path*, None where there is none. Raises StoreError."""

    async def read(self, entry: Entry, start: int, length: int) -> FileSlice | ByteStream:
        """Open bytes of an object for sending.

        Raises NoSuchObjectError where it was removed or replaced since it was looked up.
        """

    async def remove(self, path: str) -> bool:
        """Delete the object at *path*; False where there was none."""

    def entries(self, prefix: str, after: str) -> AsyncIterator[Entry]:
        """Go through objects whose path begins with *prefix* and comes after *after*, by path."""


def _shown_type(content_type: str) -> str:
    """Return *content_type* where it can be a field's value: who brings an object may say it."""
    printable = content_type.isascii() and content_type.isprintable()
    return content_type if printable and 0 < len(content_type) <= _LONGEST_TYPE else UNKNOWN_TYPE


def made_etag(blob: UploadId) -> str:
    """Return a tag that tells this version from others, and does not tell the upload's name.

    With a dash, as S3's of what came in parts: no client takes it for an MD5.
    """
    return f"{hashlib.sha256(blob.encode()).hexdigest()[:32]}-1"
