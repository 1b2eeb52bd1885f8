"""The ``.info`` file: fileloft's JSON, ours under ``"fast"``, and the mark of unverified bytes.

The file ends with the mark: a number of fixed width, or null, that is overwritten in place. A
helper file per request would be simpler, but ext4 passes freed inodes over for 35 s, and creates
slow down.
The offset in here is the one at creation: the data file's size is the truth.

Of an upload that is hashed as a whole the file begins with a space, and has a slot before the mark,
of fixed width, in the same sector, and overwritten as it is: what its bytes hash to so far, or what
they hash to (``stores.running``). What cannot be read there is as if it were not there.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from fileloft_fast.errors import StoreError, WireError
from fileloft_fast.model import NO_METADATA, Concat, Metadata, Offset, UploadId, UploadInfo
from fileloft_fast.stores.running import (
    LARGEST,
    digests_of_texts,
    known_hashes,
    render_digests,
    texts_of_digests,
)
from fileloft_fast.tus.headers import parse_metadata

_WIDTH: Final = 20
_END: Final = b"}}\n"
_SECTOR: Final = 512  # what a disk writes in one piece, so that the mark is never torn

NO_MARK: Final = b"%20s" % b"null"
NO_HASHES: Final = b"null"
_SPACE: Final = ord(" ")  # the first character of a file that has a slot


class _Fast(msgspec.Struct):
    """What fileloft does not know."""

    version: int = 1
    metadata: str = ""
    concat: str = ""
    created_at: float = 0.0
    subject: str = ""
    path: str = ""
    awaits_end: bool = False
    hashes: list[str] = []
    expected: dict[str, str] = {}


class _Record(msgspec.Struct):
    """fileloft's field names, then ours."""

    id: str
    size: int | None = None
    offset: int = 0
    metadata: dict[str, str | None] = {}
    size_is_deferred: bool = False
    expires_at: str | None = None
    is_partial: bool = False
    is_final: bool = False
    partial_uploads: list[str] = []
    fast: _Fast | None = None


_KEY: Final = b'"unverified_from":'
_SLOT_KEY: Final = b'"digests":'
_BETWEEN: Final = b"," + _KEY

# Of nearly every upload: neither a part of another one nor made of others.
_ALONE: Final = '"is_partial":false,"is_final":false,"partial_uploads":[],"storage":{},'
_NO_CONCAT: Final = Concat.NONE  # a name of the module: before Python 3.12 a member is dear

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Record)


class Slot(msgspec.Struct, frozen=True):
    """Where in the file the hashes are kept, and what is there."""

    at: int
    value: bytes

    def filled(self, value: bytes) -> bytes:
        """Return what *value* has to be written as."""
        return value.ljust(len(self.value))


class Record(msgspec.Struct, frozen=True):
    """A parsed ``.info``: the upload, and the mark with its place in the file.

    ``slot`` is None where the upload is not hashed as a whole.
    """

    info: UploadInfo
    unverified_from: int | None
    mark_at: int | None
    """None where the file has no place for a mark: fileloft wrote it."""
    slot: Slot | None = None


def render_mark(offset: int) -> bytes:
    """Return the mark that says that no byte from *offset* on has been verified."""
    return b"%20d" % offset


def render_info(info: UploadInfo, running: bytes = NO_HASHES) -> bytes:
    """Return the contents of the file, without a mark set; *running* is for its slot."""
    # fileloft's fields, then ours, then the key of the mark. A template: a struct costs twice as
    # much, and every upload pays for it.
    metadata, length = info.metadata, info.length
    texts = _json(texts_of(metadata)) if metadata.pairs else "{}"
    expires_at = "null" if info.expires_at is None else f'"{render_time(info.expires_at)}"'
    alone = info.concat is _NO_CONCAT and not info.partials
    head = (
        f'{{"id":"{info.id}","size":{"null" if length is None else length},'
        f'"offset":{info.offset},"metadata":{texts},'
        f'"size_is_deferred":{"true" if length is None else "false"},"expires_at":{expires_at},'
        f'{_ALONE if alone else _render_kinship(info)}"fast":{{"version":1,'
        f'"metadata":{_json(metadata.raw)},"concat":{_json(info.concat_raw)},'
        f'"created_at":{info.created_at:.6f},'
        f"{_render_rest(info) if info.owner or info.path or info.awaits_end or info.hashes else ''}"
        '"unverified_from":'
    ).encode()
    if info.hashes:
        return _with_slot(head, info, running)
    room = _SECTOR - len(head) % _SECTOR
    padding = b" " * room if room < _WIDTH else b""  # white space may stand before a JSON value
    return b"%b%b%b%b" % (head, padding, NO_MARK, _END)


def _with_slot(head: bytes, info: UploadInfo, running: bytes) -> bytes:
    """Return the file that begins with *head* and has a slot; digests that are known go first."""
    value = render_digests(info.digests) if info.digests else running
    slot = value.ljust(LARGEST) + _BETWEEN + NO_MARK
    head = b" " + head.removesuffix(_KEY)
    room = _SECTOR - (len(head) + len(_SLOT_KEY)) % _SECTOR
    padding = b" " * room if room < len(slot) else b""
    return b"%b%b%b%b%b" % (head, padding, _SLOT_KEY, slot, _END)


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()


def _render_kinship(info: UploadInfo) -> str:
    """Return what an upload has to do with others."""
    return (
        f'"is_partial":{"true" if info.concat is Concat.PARTIAL else "false"},'
        f'"is_final":{"true" if info.concat is Concat.FINAL else "false"},'
        f'"partial_uploads":{_json(info.partials)},"storage":{{}},'
    )


def _render_rest(info: UploadInfo) -> str:
    """Return what few uploads have, as far as that is set."""
    pairs = (
        ("subject", info.owner),
        ("path", info.path),
        ("awaits_end", info.awaits_end),
        ("hashes", info.hashes),
        ("expected", texts_of_digests(info.expected)),
    )
    return "".join(f'"{key}":{_json(value)},' for key, value in pairs if value)


def mark_place(contents: bytes) -> int:
    """Return where in *contents*, which ``render_info`` made, the mark lies."""
    return len(contents) - len(_END) - _WIDTH


def parse_info(contents: bytes, upload: UploadId) -> Record:
    """Return what the file says. Raises StoreError where it is not such a file."""
    try:
        if contents[0] == _SPACE:
            return _parse_with_slot(contents, upload)
        return (_parse_known if len(contents) <= _KNOWN_BYTES else _parse)(contents, upload)
    except (msgspec.DecodeError, ValueError, IndexError, RecursionError, WireError) as error:
        raise StoreError(f"{upload}.info cannot be read: {error}") from error


def _parse(contents: bytes, upload: UploadId) -> Record:
    record = _DECODER.decode(contents)
    if record.size is not None and record.size < 0:
        raise ValueError("negative size")
    if record.offset < 0:
        raise ValueError("negative offset")
    concat = Concat.NONE
    if record.is_final or record.is_partial:
        concat = Concat.FINAL if record.is_final else Concat.PARTIAL
    fast = record.fast
    if fast is None:
        mark_at, unverified_from = None, None
        metadata = _fileloft_metadata(record.metadata)
        fast = _Fast(concat=concat.value)
    else:
        metadata = parse_metadata(fast.metadata) if fast.metadata else NO_METADATA
        mark_at = mark_place(contents)
        mark = contents[mark_at : mark_at + _WIDTH].strip()
        unverified_from = None if mark == b"null" else int(mark)
    info = UploadInfo(
        id=upload,
        offset=Offset(record.offset),
        # fileloft calls a length deferred that came with the creation, where both were sent.
        length=record.size,
        metadata=metadata,
        concat=concat,
        concat_raw=fast.concat,
        partials=tuple(UploadId(part) for part in record.partial_uploads),
        created_at=fast.created_at,
        owner=fast.subject,
        path=fast.path,
        awaits_end=fast.awaits_end,
        hashes=known_hashes(fast.hashes),
        expected=digests_of_texts(fast.expected),
    )
    return Record(info, unverified_from, mark_at)


# It stays as it is between the requests of an upload, but for what is declared late and the mark;
# long ones would fill the memory.
_KNOWN_BYTES: Final = 1024
_parse_known: Final = lru_cache(maxsize=1024)(_parse)


def _parse_with_slot(contents: bytes, upload: UploadId) -> Record:
    """Parse all but what is in the slot, which changes with every request."""
    mark_at = mark_place(contents)
    end = mark_at - len(_BETWEEN)
    start = end - LARGEST
    if start < 0 or not contents.endswith(_SLOT_KEY, 0, start):
        return _parse(contents, upload)
    rest = contents[:start] + NO_HASHES + contents[end:]
    record = (_parse_known if len(rest) <= _KNOWN_BYTES else _parse)(rest, upload)
    return Record(record.info, record.unverified_from, mark_at, Slot(start, contents[start:end]))


def _fileloft_metadata(values: dict[str, str | None]) -> Metadata:
    """Build the header again that fileloft did not keep."""
    pairs = tuple((key, (value or "").encode()) for key, value in values.items())
    raw = ",".join(
        f"{key} {base64.b64encode(value).decode()}" if value else key for key, value in pairs
    )
    return Metadata(raw, pairs)


def texts_of(metadata: Metadata) -> dict[str, str | None]:
    """Return the metadata as fileloft keeps them: text, null for a key alone."""
    return {
        key: value.decode("utf-8", "replace") if value else None for key, value in metadata.pairs
    }


def render_time(seconds: float) -> str:
    """Return a time since the epoch as RFC 3339 has it, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
