"""The record of an upload in the bucket: the object ``{id}.info``.

fileloft's field names stand at the top level, as in the ``.info`` file on a disk; ours are under
``"fast"``. Other programs keep objects of such names too: what is not ours is nobody's upload.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from fileloft_fast.errors import StoreError, WireError
from fileloft_fast.model import NO_METADATA, Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import render_time, texts_of
from fileloft_fast.stores.remote.objects import Receipt
from fileloft_fast.stores.running import digests_of_texts, known_hashes, texts_of_digests
from fileloft_fast.tus.headers import parse_metadata

RECORD_SUFFIX: Final = ".info"
TAIL_SUFFIX: Final = ".tail-"
_VERSION: Final = 1


class RecordState(StrEnum):
    """How far an upload is, as the bucket knows it."""

    OPEN = "open"
    """Bytes are missing, or not in the object yet."""
    STORED = "stored"
    """The object is there, whole."""


class Tail(msgspec.Struct, frozen=True):
    """Bytes ``[start, start + size)`` of an upload in an object of their own (chunk mode)."""

    key: str
    start: int
    size: int
    crc32c: int

    @property
    def end(self) -> int:
        """Where the byte after the last one lies."""
        return self.start + self.size


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What the bucket knows of an upload.

    ``owner`` is the spool that has the bytes (finish and spool mode), "" where any replica may go
    on. ``receipts`` are the parts in front of ``tails``, in order; one of number 0 where the
    session is sequential. ``object_bytes`` and ``encoding`` say how a stored object is kept.
    ``running``: what its bytes hash to so far (chunk mode; see ``stores.running``), b"" not known.
    ``nonce``: no two writes are alike, so that a writer knows its own, and its tag is new.
    """

    info: UploadInfo
    state: RecordState = RecordState.OPEN
    owner: str = ""
    session: str = ""
    part_bytes: int = 0
    receipts: tuple[Receipt, ...] = ()
    tails: tuple[Tail, ...] = ()
    object_bytes: int = 0
    encoding: str = ""
    running: bytes = b""
    nonce: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))

    @property
    def shipped(self) -> int:
        """How many bytes, from the first, the session holds."""
        return sum(receipt.size for receipt in self.receipts)

    def renewed(self, **changes: Any) -> Record:  # noqa: ANN401 - the fields of the record
        """Return the record with *changes*, to be written anew."""
        return replace(self, nonce=secrets.token_hex(8), **changes)


class _Part(msgspec.Struct, array_like=True):
    """A receipt. ``size`` is left away where it is that of every part, ``number`` where it counts.

    An upload may have 10,000 of them, and the record is written at the end of every request.
    """

    tag: str
    crc32c: int
    size: int = -1
    number: int = -1


class _Fast(msgspec.Struct):
    """What fileloft does not know."""

    version: int
    state: RecordState
    nonce: str
    metadata: str = ""
    concat: str = ""
    created_at: float = 0.0
    modified_at: float = 0.0
    owner: str = ""
    session: str = ""
    part_bytes: int = 0
    parts: list[_Part] = []
    tails: list[Tail] = []
    object_bytes: int = 0
    encoding: str = ""
    subject: str = ""  # the upload's owner; that of the record is a spool
    awaits_end: bool = False
    hashes: list[str] = []
    expected: dict[str, str] = {}
    digests: dict[str, str] = {}
    running: msgspec.Raw = msgspec.Raw(b"")


class _Contents(msgspec.Struct):
    """What is read again of fileloft's fields, then ours."""

    id: str
    size: int | None
    offset: int
    is_partial: bool
    is_final: bool
    partial_uploads: list[str]
    fast: _Fast


class _Versioned(msgspec.Struct):
    version: int


class _Ours(msgspec.Struct):
    """As little as tells whose object it is."""

    id: str
    fast: _Versioned


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Contents)
_OURS: Final = msgspec.json.Decoder(_Ours)


def record_key(prefix: str, upload: UploadId) -> str:
    """Return the key of the record of *upload*."""
    return f"{prefix}{upload}{RECORD_SUFFIX}"


def tail_key(prefix: str, upload: UploadId, now: float) -> str:
    """Return a key for a new tail: 8 digits of its age for the sweeper, 16 that nobody repeats."""
    return f"{prefix}{upload}{TAIL_SUFFIX}{int(now):08x}{secrets.token_hex(8)}"


def render_record(record: Record) -> bytes:
    """Return the contents of the object."""
    info = record.info
    fast = {
        "version": _VERSION,
        "state": record.state,
        "nonce": record.nonce,
        "metadata": info.metadata.raw,
        "concat": info.concat_raw,
        "created_at": info.created_at,
        "modified_at": info.modified_at,
        "owner": record.owner,
        "session": record.session,
        "part_bytes": record.part_bytes,
        "parts": _parts(record.receipts, record.part_bytes),
        "tails": record.tails,
        "object_bytes": record.object_bytes,
        "encoding": record.encoding,
        "subject": info.owner,
    }
    few = {
        "awaits_end": info.awaits_end,  # a version that does not know it takes it for complete
        "hashes": info.hashes,
        "expected": texts_of_digests(info.expected),
        "digests": texts_of_digests(info.digests),
        "running": msgspec.Raw(record.running) if record.running else None,
    }
    fast |= {key: value for key, value in few.items() if value}
    return _ENCODER.encode(
        {
            "id": info.id,
            "size": info.length,
            "offset": info.offset,
            "metadata": texts_of(info.metadata),
            "size_is_deferred": info.length is None,
            "expires_at": None if info.expires_at is None else render_time(info.expires_at),
            "is_partial": info.concat is Concat.PARTIAL,
            "is_final": info.concat is Concat.FINAL,
            "partial_uploads": info.partials,
            "storage": {},
            "fast": fast,
        }
    )


def parse_record(contents: bytes, upload: UploadId) -> Record | None:
    """Return the record of *upload*, None where another program keeps an object of that name.

    Raises StoreError where it is ours and cannot be read: damaged, or of a newer version.
    """
    try:
        ours = _OURS.decode(contents)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if ours.id != upload:
        return None
    if ours.fast.version > _VERSION:
        raise StoreError(f"the record of {upload} was written by a newer version")
    try:
        return _record(_DECODER.decode(contents), upload)
    except (msgspec.DecodeError, ValueError, WireError) as error:
        raise StoreError(f"the record of {upload} cannot be read: {error}") from error


def info_of(record: Record, ttl_s: int | None) -> UploadInfo:
    """Return what is told of the upload; it expires *ttl_s* after its last byte, None for never."""
    expires_at = None if ttl_s is None else record.info.modified_at + ttl_s
    return replace(record.info, expires_at=expires_at)


def _record(contents: _Contents, upload: UploadId) -> Record:
    fast = contents.fast
    concat = Concat.NONE
    if contents.is_final or contents.is_partial:
        concat = Concat.FINAL if contents.is_final else Concat.PARTIAL
    info = UploadInfo(
        id=upload,
        offset=Offset(contents.offset),
        length=contents.size,
        metadata=parse_metadata(fast.metadata) if fast.metadata else NO_METADATA,
        concat=concat,
        concat_raw=fast.concat,
        partials=tuple(UploadId(part) for part in contents.partial_uploads),
        created_at=fast.created_at,
        modified_at=fast.modified_at,
        owner=fast.subject,
        awaits_end=fast.awaits_end,
        hashes=known_hashes(fast.hashes),
        expected=digests_of_texts(fast.expected),
        digests=digests_of_texts(fast.digests),
    )
    return Record(
        info=info,
        state=fast.state,
        owner=fast.owner,
        session=fast.session,
        part_bytes=fast.part_bytes,
        receipts=_receipts(fast.parts, fast.part_bytes),
        tails=tuple(fast.tails),
        object_bytes=fast.object_bytes,
        encoding=fast.encoding,
        running=bytes(fast.running),
        nonce=fast.nonce,
    )


def _parts(receipts: Sequence[Receipt], part_bytes: int) -> list[tuple[str | int, ...]]:
    parts: list[tuple[str | int, ...]] = []
    for number, receipt in enumerate(receipts, 1):
        if receipt.number != number:
            parts.append((receipt.tag, receipt.crc32c, receipt.size, receipt.number))
        elif receipt.size != part_bytes:
            parts.append((receipt.tag, receipt.crc32c, receipt.size))
        else:
            parts.append((receipt.tag, receipt.crc32c))
    return parts


def _receipts(parts: Sequence[_Part], part_bytes: int) -> tuple[Receipt, ...]:
    return tuple(
        Receipt(
            number if part.number < 0 else part.number,
            part_bytes if part.size < 0 else part.size,
            part.tag,
            part.crc32c,
        )
        for number, part in enumerate(parts, 1)
    )
