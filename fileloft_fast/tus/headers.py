"""The grammar of every tus header field: values in, values out.

``parse_`` raises a WireError for whatever the specification does not allow, and nothing else;
``render_`` is its inverse. Field values arrive as latin-1, so that a byte above 127 is a character
above 127 and no grammar here allows it.
"""

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from fileloft_fast.errors import (
    ContentTypeError,
    InvalidHeaderError,
    InvalidMetadataError,
    UnsupportedCodingError,
)
from fileloft_fast.model import NO_METADATA, Checksum, Metadata
from fileloft_fast.tus.effects import IDENTITY, Coding
from fileloft_fast.tus.rules import LARGEST

OFFSET_STREAM: Final = "application/offset+octet-stream"
"""The media type of every body that holds an upload's bytes."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_MONTH_NUMBERS: Final = {name: number for number, name in enumerate(_MONTHS, 1)}
_IMF_FIXDATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT",
    re.ASCII,
)


def parse_count(name: str, value: str) -> int:
    """Return the non-negative integer of the field *name*: digits only, at most 2^63 - 1."""
    # 19 digits hold 2^63 - 1; int() of an endless row of digits would cost quadratic time.
    if not (0 < len(value) <= 19 and value.isascii() and value.isdecimal()):
        raise InvalidHeaderError(f"{name} is not a non-negative integer")
    count = int(value)
    if count > LARGEST:
        raise InvalidHeaderError(f"{name} is larger than 2^63 - 1")
    return count


def parse_length(length: str | None, deferral: str | None) -> int | None:
    """Return what ``Upload-Length`` and ``Upload-Defer-Length`` of a POST say; None is deferred."""
    if deferral is None:
        if length is None:
            raise InvalidHeaderError("Upload-Length or Upload-Defer-Length is needed")
        return parse_count("Upload-Length", length)
    if length is not None:
        raise InvalidHeaderError("Upload-Length and Upload-Defer-Length exclude each other")
    if deferral != "1":
        raise InvalidHeaderError("Upload-Defer-Length is not 1")
    return None


def parse_metadata(raw: str) -> Metadata:
    """Return the pairs of ``Upload-Metadata``; *raw* stays in the value byte for byte."""
    if not raw:
        return NO_METADATA
    if not (raw.isascii() and raw.isprintable()):
        raise InvalidMetadataError("Upload-Metadata has characters other than printable ASCII")
    pairs: dict[str, bytes] = {}
    for pair in raw.split(","):
        key, _, coded = pair.partition(" ")
        if not key:
            raise InvalidMetadataError("Upload-Metadata has an empty key")
        if key in pairs:
            raise InvalidMetadataError("Upload-Metadata has a key twice")
        pairs[key] = _decoded(coded, InvalidMetadataError, "Upload-Metadata") if coded else b""
    return Metadata(raw, tuple(pairs.items()))


def render_metadata(pairs: Iterable[tuple[str, bytes]]) -> str:
    """Return ``Upload-Metadata`` for *pairs*; a pair with an empty value is the key alone."""
    return ",".join([render_pair(key, value) for key, value in pairs])


def render_pair(key: str, value: bytes) -> str:
    """Return one pair of ``Upload-Metadata``."""
    return f"{key} {b2a_base64(value, newline=False).decode()}" if value else key


def parse_checksum(value: str, algorithms: Mapping[str, int]) -> Checksum:
    """Return the checksum of ``Upload-Checksum``, in the head or in the trailer.

    *algorithms* maps each name that is offered to the size of its digest in bytes.
    """
    algorithm, _, coded = value.partition(" ")
    size = algorithms.get(algorithm)
    if size is None:
        raise InvalidHeaderError("Upload-Checksum names no algorithm that is offered")
    digest = _decoded(coded, InvalidHeaderError, "Upload-Checksum")
    if len(digest) != size:
        raise InvalidHeaderError(f"Upload-Checksum: a digest of {algorithm} has {size} bytes")
    return Checksum(algorithm, digest)


def render_checksum(checksum: Checksum) -> str:
    """Return the value of ``Upload-Checksum``."""
    return render_pair(checksum.algorithm, checksum.digest)


def _decoded(
    coded: str, error: type[InvalidMetadataError | InvalidHeaderError], name: str
) -> bytes:
    """Return the bytes of canonical base64; raise *error* where it is none."""
    try:
        return a2b_base64(coded, strict_mode=True)
    except ValueError:  # binascii.Error is one
        raise error(f"{name} has a value that is not base64") from None


def parse_concat_urls(value: str) -> tuple[str, ...] | None:
    """Return the URLs of ``Upload-Concat: final;…``, or None for ``partial``.

    Spaces around a URL are let pass, as clients send them (T173).
    """
    if value == "partial":
        return None
    kind, semicolon, listed = value.partition(";")
    if kind != "final" or not semicolon:
        raise InvalidHeaderError("Upload-Concat is neither partial nor final;")
    if not (listed.isascii() and listed.isprintable()):
        raise InvalidHeaderError("Upload-Concat has characters other than printable ASCII")
    urls = tuple(url for url in listed.split(" ") if url)
    if not urls:
        raise InvalidHeaderError("Upload-Concat names no upload")
    return urls


def parse_body_type(value: str | None) -> None:
    """Raise ContentTypeError unless *value* is the media type of upload bytes."""
    # The first comparison is for speed; media types are case-insensitive and may have parameters.
    if value == OFFSET_STREAM:
        return
    if value is None or value.partition(";")[0].strip(" \t").lower() != OFFSET_STREAM:
        raise ContentTypeError(f"the body is not {OFFSET_STREAM}")


def parse_coding(value: str | None) -> Coding:
    """Return the coding of the body that ``Content-Encoding`` names."""
    if value is None or value == "":
        return IDENTITY
    match value.lower():
        case "identity":
            return Coding.IDENTITY
        case "zstd":
            return Coding.ZSTD
        case _:
            raise UnsupportedCodingError("Content-Encoding is neither zstd nor identity")


def parse_trailer(value: str | None) -> bool:
    """Return whether ``Trailer`` announces ``Upload-Checksum``."""
    if value is None:
        return False
    return any(name.strip(" \t") == "upload-checksum" for name in value.lower().split(","))


@lru_cache(maxsize=256)
def render_date(seconds: int) -> str:
    """Return the time *seconds* after the epoch as IMF-fixdate (RFC 9110 section 5.6.7)."""
    # Own names: strftime speaks the language of the process.
    at = datetime.fromtimestamp(seconds, UTC)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} GMT"
    )


def maybe_date(value: str) -> int | None:
    """Return the seconds since the epoch of an IMF-fixdate; None where *value* is none."""
    match = _IMF_FIXDATE.fullmatch(value)
    if match is None:
        return None
    day, month, year, hour, minute, second = match.groups()
    try:
        at = datetime(
            int(year),
            _MONTH_NUMBERS.get(month, 0),
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # a leap second
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(at.timestamp())
