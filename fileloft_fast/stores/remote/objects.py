"""The one interface of the object stores, and the values that cross it.

A driver makes one request a call and retries only what the store's own rules ask for; when to try
again is the caller's to decide. Every failure is one of ``RemoteUnavailableError`` (try again),
``RemoteRefusedError`` (the operator must act), ``SessionLostError``, ``ConditionFailedError`` and
``ObjectNotFoundError``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """What a store takes. Sizes in bytes."""

    smallest_part: int
    """Of every part but the last."""
    largest_part: int
    most_parts: int
    largest_object: int
    granule: int = 1
    """Every part but the last is a multiple of it."""
    sequential: bool = False
    """Parts are put in order, one at a time (a resumable session)."""
    last_completes: bool = False
    """The last part is handed to ``complete`` instead of ``put_part``."""


class Attributes(Struct, frozen=True, kw_only=True):
    """What an object is stored with.

    ``metadata``: names of lower-case letters, digits and ``-``; values of printable ASCII. A driver
    turns names into what its store takes, and back.
    """

    content_type: str = "application/octet-stream"
    disposition: str = ""
    encoding: str = ""
    metadata: Mapping[str, str] = {}


class Piece(Struct, frozen=True):
    """Bytes ``[start, start + length)`` of an open file, and their CRC-32C."""

    descriptor: int
    start: int
    length: int
    crc32c: int


class Receipt(Struct, frozen=True):
    """A part that the store has. ``tag`` is what ``complete`` names it by (ETag, block id)."""

    number: int
    """From 1; 0 stands for all the bytes that a sequential session holds."""
    size: int
    tag: str
    crc32c: int


class ObjectHead(Struct, frozen=True, kw_only=True):
    """What a store says of an object. ``tag`` names this version in a ``Condition``.

    ``content_type`` and ``modified_at`` (the store's clock) are what ``head`` of a
    ``ListedObjects`` says; elsewhere they are empty.
    """

    key: str
    size: int
    tag: str
    metadata: Mapping[str, str] = {}
    crc32c: int | None = None
    content_type: str = ""
    modified_at: float = 0.0


class ListedObject(Struct, frozen=True):
    """What a list says of an object; see ``ObjectHead``."""

    key: str
    size: int
    tag: str
    modified_at: float


class OpenSession(Struct, frozen=True):
    """A session that was neither completed nor aborted; ``created_at`` is the store's clock."""

    key: str
    session: str
    created_at: float


class Condition(Struct, frozen=True):
    """The version that must be there for a write to happen; None: no object may be there."""

    tag: str | None


ABSENT: Final = Condition(None)

MOST_FETCHED: Final = 16 * 1024 * 1024
"""Bytes that ``Objects.fetch`` returns at most; the largest record has a tenth of that."""


class Objects(Protocol):
    """A bucket, or a container. Keys are whole: the prefix is the caller's."""

    @property
    def limits(self) -> Limits:
        """What this store takes."""

    async def start(self) -> None:
        """Make the client. Raises ConfigError where there are no credentials.

        A store that cannot be reached is no error here: an edge appliance starts without its link.
        """

    async def close(self) -> None:
        """End what is open; nothing may be called afterwards."""

    async def create(self, key: str, attributes: Attributes) -> str:
        """Begin a multipart upload, session or block list and return its name."""

    async def put_part(
        self, key: str, session: str, number: int, offset: int, piece: Piece
    ) -> Receipt:
        """Send part *number*, which begins at *offset* of the object. Sending twice does no harm.

        Raises SessionLostError where the store does not know *session*.
        """

    async def list_parts(self, key: str, session: str) -> list[Receipt]:
        """Return what the session holds, one receipt a number, the newest; see ``Receipt``."""

    async def complete(  # noqa: PLR0913 - one request, and all that it says
        self,
        key: str,
        session: str,
        receipts: Sequence[Receipt],
        *,
        size: int,
        crc32c: int,
        attributes: Attributes,
        condition: Condition | None = ABSENT,
        last: Piece | None = None,
    ) -> ObjectHead:
        """Make the object of the parts; *size* and *crc32c* are those of the whole.

        *last* is the rest of the bytes where ``Limits.last_completes``. Raises SessionLostError,
        also where an answer was lost and the object is there: the caller asks ``head``.
        """

    async def abort(self, key: str, session: str) -> None:
        """Throw the session away; one that is gone is no error."""

    def get(self, key: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes ``[start, start + length)`` as they are stored, in pieces of any size.

        A connection that breaks is taken up again where it broke. Raises ObjectNotFoundError.
        """

    async def head(self, key: str) -> ObjectHead | None:
        """Return what is known of an object, None where there is none."""

    async def put(
        self,
        key: str,
        content: Piece | bytes,
        attributes: Attributes,
        condition: Condition | None = None,
    ) -> ObjectHead:
        """Store a whole object in one request. Raises ConditionFailedError."""

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        """Return a small object and its tag, both of one version; None where there is none.

        Of a larger one, which is nobody's record, the first ``MOST_FETCHED`` bytes.
        """

    async def delete(self, key: str) -> None:
        """Delete an object, whatever its version; one that is not there is no error."""

    async def sign(self, key: str, expires_s: int) -> str:
        """Return a URL by which anyone may GET the object for *expires_s* seconds."""

    async def join(
        self, key: str, sources: Sequence[ObjectHead], attributes: Attributes
    ) -> ObjectHead:
        """Make *key* of *sources*, in order, within the store; never overwrites.

        Raises CannotJoinError where this store cannot, or not these sizes; nothing is left then.
        """

    def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """Go through the keys that begin with *prefix*."""

    def list_sessions(self, prefix: str) -> AsyncIterator[OpenSession]:
        """Go through open sessions whose key begins with *prefix*; none where none are listed."""


class ListedObjects(Objects, Protocol):
    """A store that others than tus clients look into as well: named storages need more of it."""

    def get(self, key: str, start: int, length: int, tag: str = "") -> AsyncGenerator[bytes, None]:
        """See ``Objects``. Of the version *tag*, where one is named, or ObjectNotFoundError."""

    def list_objects(
        self, prefix: str, after: str, page: int
    ) -> AsyncGenerator[ListedObject, None]:
        """Go through the objects whose key begins with *prefix* and comes after *after*.

        In the order of the keys' bytes, or in one that the store keeps to. It is asked for *page*
        of them at a time, or as many as it tells at once.
        """


class Pace(Protocol):
    """Says when bytes may leave (``FILELOFT_FLUSH_RATE``)."""

    async def take(self, size: int) -> None:
        """Wait until *size* more bytes may be sent."""
