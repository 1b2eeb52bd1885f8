"""The values every room speaks: ids, offsets, what is known of an upload, a request, an answer.

Nothing here does I/O, and nothing here imports anything above it. The values are msgspec's structs:
a frozen dataclass costs several times as much to make, and every request makes a handful.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from enum import StrEnum
from typing import ClassVar, Final, NewType, Protocol
from zlib import crc32

from msgspec import Struct

UploadId = NewType("UploadId", str)
"""An upload's name, validated against ``UPLOAD_ID_PATTERN``: safe in a path and in a URL."""

Offset = NewType("Offset", int)
"""A number of bytes that an upload holds, counted from its start."""

UPLOAD_ID_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}"
"""What an id from outside must match as a whole before it touches a path: no dot, no slash."""

ID_PREFIX_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9_-]{0,94}"
"""What a token may have ids begin with; a dash and what nobody can guess come after it."""

MADE_ID_PATTERN: Final = rf"(?:{ID_PREFIX_PATTERN}-)?[0-9a-f]{{32}}"
"""Ids as this server makes them: what else lies in a directory or a bucket may be somebody's."""


def shard_of(upload: UploadId, shards: int) -> int:
    """Return which of *shards* has *upload*: the same in every process, today and tomorrow."""
    return crc32(upload.encode()) % shards


class Capability(StrEnum):
    """What a server can do beyond the core: a tus extension, or ``download``."""

    CREATION = "creation"
    CREATION_WITH_UPLOAD = "creation-with-upload"
    CREATION_DEFER_LENGTH = "creation-defer-length"
    EXPIRATION = "expiration"
    CHECKSUM = "checksum"
    CHECKSUM_TRAILER = "checksum-trailer"
    TERMINATION = "termination"
    CONCATENATION = "concatenation"
    DOWNLOAD = "download"


class ResumableMode(StrEnum):
    """Which requests are taken for those of the IETF's protocol.

    ``DRAFTS``: those that name a version that is spoken. ``ON``: those of the final form, too.
    """

    OFF = "off"
    DRAFTS = "drafts"
    ON = "on"


class InterimMode(StrEnum):
    """Who is sent the interim answers of the IETF's protocol. ``AUTO``: who comes by no proxy.

    nginx takes a 104 for the final answer, up to its newest version (1.31): the client's HTTP/2
    stream breaks by it, or its connection hangs.
    """

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Concat(StrEnum):
    """An upload's part in a concatenation (tus 1.0, Concatenation)."""

    NONE = ""
    PARTIAL = "partial"
    FINAL = "final"


class Checksum(Struct, frozen=True):
    """What bytes hash to: of one request (tus 1.0, Upload-Checksum), or the whole (RFC 9530)."""

    algorithm: str
    digest: bytes


class Metadata(Struct, frozen=True):
    """The pairs of ``Upload-Metadata``, in order, and the header exactly as it was received."""

    raw: str
    pairs: tuple[tuple[str, bytes], ...]

    def value(self, key: str) -> bytes | None:
        """Return the decoded value of *key*, or None where the client did not send it."""
        for name, value in self.pairs:
            if name == key:
                return value
        return None


NO_METADATA: Final = Metadata("", ())


class UploadInfo(Struct, frozen=True, kw_only=True):
    """What the store knows about one upload.

    ``offset`` is the number of verified bytes. ``expires_at`` is seconds since the epoch, None for
    never. ``concat_raw`` is ``Upload-Concat`` as received. ``modified_at``: when a byte last came.
    ``owner`` is the subject that made it, "" where nobody had to say who they are.
    ``path``: where the finished bytes appear besides, below the data directory; "" nowhere.
    ``awaits_end``: not complete before its client says so, however many bytes there are.
    ``hashes``: algorithms in which the whole is hashed while it is written. ``expected``: what its
    client says the whole hashes to, verified before it is complete. ``digests``: what it hashes to;
    empty where it is not complete, or nobody wanted to know.
    """

    id: UploadId
    offset: Offset
    length: int | None
    metadata: Metadata = NO_METADATA
    concat: Concat = Concat.NONE
    concat_raw: str = ""
    partials: tuple[UploadId, ...] = ()
    created_at: float = 0.0
    modified_at: float = 0.0
    expires_at: float | None = None
    owner: str = ""
    path: str = ""
    awaits_end: bool = False
    hashes: tuple[str, ...] = ()
    expected: tuple[Checksum, ...] = ()
    digests: tuple[Checksum, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every byte is there, and no end is waited for."""
        return self.length is not None and self.offset == self.length and not self.awaits_end


class Peer(Struct, frozen=True):
    """Who is at the other end of a connection; one value for all of its requests.

    ``address`` is ``ip:port``, of the client where a PROXY header told it (``told``), "" for a Unix
    socket. ``trusted``: what it says of the client in forwarded fields counts. ``name`` is the
    subject of the client's verified certificate (RFC 4514), "" where there is none.
    """

    address: str = ""
    trusted: bool = True
    name: str = ""
    told: bool = False


NOBODY: Final = Peer()


class Operation(StrEnum):
    """What a token may allow; ``ADMIN``: every subject's uploads are as the bearer's own."""

    CREATE = "create"
    APPEND = "append"
    INSPECT = "inspect"
    READ = "read"
    DELETE = "delete"
    ADMIN = "admin"


class Quota(Struct, frozen=True):
    """How much one subject may have; 0 is no limit.

    ``bytes``: stored, with what is promised. ``uploads``: unfinished ones. ``rate``: creations a
    second.
    """

    bytes: int = 0
    uploads: int = 0
    rate: float = 0.0


class Permit(Struct, frozen=True, kw_only=True):
    """What the bearer of a verified token may do.

    ``max_size`` bounds an upload's bytes, 0 for no bound. ``metadata`` are pairs that a creation
    must carry. ``prefix``: what ids begin with, before a dash. ``upload``: the only one there is.
    ``uploads``: how many may be made in all with the token that ``token_id`` names; 0 is any.
    ``by_query``: the token may come in a URL.
    """

    subject: str
    operations: frozenset[Operation]
    expires_at: float
    max_size: int = 0
    metadata: tuple[tuple[str, bytes], ...] = ()
    prefix: str = ""
    upload: str = ""
    uploads: int = 0
    token_id: str = ""
    by_query: bool = False
    quota: Quota = Quota()


class RequestHead(Struct, frozen=True):
    """One HTTP request without its body.

    ``method`` is as sent (upper case, checked). ``path`` is the raw path of the target, undecoded,
    without scheme, authority and query; ``query`` is what follows the question mark, as raw, and
    may hold a secret: it is never logged. ``headers`` maps lower-case names to values without outer
    white space; a field that came more than once is joined by ``", "``. ``authority`` is ``Host``;
    "" where there is none, or where the target was in absolute form, whose authority nobody vouches
    for. ``content_length`` is None for chunked bodies (``chunked``) and 0 where none was sent.
    ``permit`` is what its token allows, None where none is asked for; ``query`` has no token then.
    """

    method: str
    path: str
    headers: dict[str, str]
    http10: bool = False
    authority: str = ""
    content_length: int | None = 0
    chunked: bool = False
    expect_continue: bool = False
    secure: bool = False
    keep_alive: bool = True
    query: str = ""
    peer: Peer = NOBODY
    permit: Permit | None = None


class AnswerChange(Struct, frozen=True):
    """What a hook wants of an answer: another status (0: no other), a body, fields by name."""

    status: int = 0
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()


class FileSlice(Struct, frozen=True):
    """Bytes ``[start, start + length)`` of an open file, to be sent as an answer's body.

    Whoever sends it closes ``descriptor``.
    """

    descriptor: int
    start: int
    length: int


class ByteStream(Struct, frozen=True):
    """An answer's body that comes from elsewhere: exactly ``length`` bytes, piece by piece.

    Whoever sends it closes ``pieces``, also where it has sent nothing.
    """

    length: int
    pieces: AsyncGenerator[bytes, None]


class EndlessStream(Struct, frozen=True):
    """An answer's body that goes on until its client leaves, the server stops, or ``pieces`` end.

    Whoever sends it closes ``pieces``, and the connection after it. ``pieces`` are not asked for
    the next one before the last one has left.
    """

    pieces: AsyncGenerator[bytes, None]
    length: ClassVar[None] = None


class Response(Struct, frozen=True):
    """An answer: status, header fields (Title-Case names), and a body.

    ``common`` are the fields that many answers share as one tuple, so that they are rendered once;
    ``own`` are this answer's.
    ``close`` asks for the connection to be closed after it. Content-Length, Date and Connection are
    added by ``http1``, which also leaves the body away where HTTP allows none.
    """

    status: int
    own: tuple[tuple[str, str], ...] = ()
    body: bytes | FileSlice | ByteStream | EndlessStream = b""
    close: bool = False
    common: tuple[tuple[str, str], ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All fields, in the order in which they are sent."""
        return (*self.common, *self.own)


class Body(Protocol):
    """The body of a request that is being received, as ``http1`` lends it to ``uploads``.

    Three ways to have it: all at hand (``take``), piece by piece (``read``), or by lending the
    socket to the engine (``take``, then ``lend`` and ``restore``).
    """

    head: RequestHead
    """The request as it came: a token may still be in its URL."""

    length: int | None
    """Bytes in all by Content-Length; None where the end is marked in the body (chunked)."""

    received: int
    """Bytes handed out so far, by ``take``, ``read`` and ``restore``."""

    error: Exception | None
    """Why the body ended early, None while it has not."""

    @property
    def abandoned(self) -> bool:
        """Whether the client has ended the connection, although bytes may still wait to be read."""

    @property
    def pending(self) -> bool:
        """Whether bytes of it have reached this machine, and nobody has been handed them yet."""

    @property
    def at_hand(self) -> bool:
        """Whether the whole rest has already arrived, so that ``take`` returns it."""

    def take(self) -> bytes:
        """Return the bytes that have arrived and were not handed out; never waits."""

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end.

        Asks for the body first where the client waits for 100 (RFC 9110 section 10.1.1).
        Raises BodyCutError, BodyTimeoutError or BadRequestError where the body ends early, stalls
        or breaks its framing, and what ``interrupt`` was given.
        """

    def lend(self, stop: Callable[[], object]) -> int | None:
        """Return a descriptor of the socket for the engine to read the rest of the body from.

        None where the socket cannot be lent: a chunked body, or TLS. Reading is paused and bytes at
        hand must have been taken before. *stop* is called when the connection ends or ``interrupt``
        is called; the borrower then ends its transfer, and always calls ``restore``.
        Raises OSError where no descriptor is left; then nothing was lent.
        """

    def watch(self, stop: Callable[[], object] | None) -> None:
        """Call *stop* when somebody else wants the upload, until *stop* is None.

        Also where the whole body has arrived, so that no ``interrupt`` reaches a ``read``.
        """

    def restore(self, received: int) -> None:
        """Give the lent socket back; *received* bytes of the body were read from it."""

    def interrupt(self, error: Exception) -> None:
        """End this body early: a ``read`` that waits, or the next one, raises *error*."""

    def announce(self, interim: Response) -> bool:
        """Send an interim answer, now or with what is written next; False where it was left out.

        Never to HTTP/1.0 (RFC 9110 section 15.2), nor after the body was cut or the final answer
        has begun. One without Location only says how far the upload is: it is left out also where
        the client does not read, or has sent everything.
        """

    def trailers(self) -> Mapping[str, str]:
        """Return the trailer fields that tus knows, lower-case; empty before the end."""
