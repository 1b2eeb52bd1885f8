"""What a GET of a finished upload sends: which bytes, under which name and type, and how fresh.

RFC 9110 sections 8.8, 13 and 14 for validators, conditions and ranges; RFC 6266 for the name.
"""

import re
from dataclasses import dataclass
from typing import Final
from unicodedata import category
from urllib.parse import quote

from fileloft_fast.errors import RangeNotSatisfiableError
from fileloft_fast.model import Metadata, RequestHead, UploadInfo
from fileloft_fast.tus.digests import digest_fields
from fileloft_fast.tus.headers import maybe_date, render_date
from fileloft_fast.tus.plan import check_download

INLINE: Final = frozenset(
    {
        "text/plain",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/bmp",
        "image/webp",
        "audio/wave",
        "audio/wav",
        "audio/x-wav",
        "audio/x-pn-wav",
        "audio/webm",
        "audio/ogg",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "application/ogg",
    }
)
"""The media types that a browser may show: none of them runs as a page (tusd's list)."""

_UNKNOWN_TYPE: Final = "application/octet-stream"
_TCHARS: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_match_type: Final = re.compile(
    rf'({_TCHARS}/{_TCHARS})(?:[ \t]*;[ \t]*{_TCHARS}=(?:{_TCHARS}|"[ !#-\[\]-~]*"))*'
).fullmatch
_LONGEST_TYPE: Final = 255
_LONGEST_NAME: Final = 200

# Nineteen digits hold every offset; a longer number is not a range that any client means.
_match_range: Final = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.IGNORECASE).fullmatch

# What turns the text around, so that a name shows another ending than it has.
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE: Final = frozenset('"/\\:*?<>|') | _BIDI
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cn", "Co", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Selection:
    """What of the file to send: the status, the fields that describe it, and the bytes.

    304 has no bytes: ``length`` is 0 and no file needs to be opened.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    start: int
    length: int


def select(head: RequestHead, info: UploadInfo) -> Selection:
    """Return what *head* gets of the upload.

    Raises NotReadyError for an unfinished upload and RangeNotSatisfiableError for a range outside
    of it. Several ranges get the whole file, which RFC 9110 section 14.2 allows.
    """
    check_download(info)
    return choose(
        head,
        size=info.offset,
        etag=render_etag(info),
        modified_at=int(info.modified_at),
        described=(*describe(info.metadata), *digest_fields(info)),
    )


def choose(
    head: RequestHead,
    *,
    size: int,
    etag: str,
    modified_at: int,
    described: tuple[tuple[str, str], ...],
) -> Selection:
    """Return what *head* gets of *size* bytes that were last changed at *modified_at*.

    *etag* is a strong validator with its quotation marks, and *described* are the fields that say
    what the bytes are. Raises RangeNotSatisfiableError as ``select`` does.
    """
    modified = render_date(modified_at)
    validators = (("ETag", etag), ("Last-Modified", modified), ("Accept-Ranges", "bytes"))
    if _is_fresh(head, etag, modified_at):
        return Selection(304, validators, 0, 0)
    fields = (*validators, *described)
    wanted = head.headers.get("range")
    if wanted is not None and head.headers.get("if-range", etag) in {etag, modified}:
        part = parse_range(wanted, size)
        if part is not None:
            start, length = part
            span = ("Content-Range", f"bytes {start}-{start + length - 1}/{size}")
            return Selection(206, (*fields, span), start, length)
    return Selection(200, fields, 0, size)


def render_etag(info: UploadInfo) -> str:
    """Return the strong validator of a finished upload, whose bytes never change."""
    return f'"{info.id}-{info.offset:x}-{int(info.modified_at):x}"'


def _is_fresh(head: RequestHead, etag: str, modified: int) -> bool:
    """Return whether the client has these bytes already (RFC 9110 section 13.2.2)."""
    known = head.headers.get("if-none-match")
    if known is not None:
        tags = {tag.strip(" \t").removeprefix("W/") for tag in known.split(",")}
        return etag in tags or "*" in tags
    since = maybe_date(head.headers.get("if-modified-since", ""))
    return since is not None and modified <= since


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """Return start and length of the one range that *value* asks for of *size* bytes.

    None where the whole is to be sent: several ranges, another unit, or no range by the grammar.
    Raises RangeNotSatisfiableError where the range holds no byte of the file.
    """
    match = _match_range(value)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return _suffix(last, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiableError(size)
    end = min(int(last), size - 1) if last else size - 1
    return start, end - start + 1


def _suffix(last: str, size: int) -> tuple[int, int] | None:
    if not last:
        return None
    length = min(int(last), size)
    if int(last) == 0:
        raise RangeNotSatisfiableError(size)
    # Of an empty file a suffix is the whole, and Content-Range cannot name no bytes.
    return (size - length, length) if size else None


# -- type and name --------------------------------------------------------------------------------


def describe(metadata: Metadata) -> tuple[tuple[str, str], ...]:
    """Return Content-Type and Content-Disposition; nothing a client wrote can break out of them."""
    kind, shown = media_type(metadata)
    return (
        ("Content-Type", kind),
        ("Content-Disposition", disposition(metadata, inline=shown in INLINE)),
    )


def media_type(metadata: Metadata) -> tuple[str, str]:
    """Return the media type as the client named it, and in lower case without parameters."""
    named = metadata.value("filetype") or metadata.value("type") or b""
    text = named.decode("latin-1")
    match = _match_type(text) if len(text) <= _LONGEST_TYPE else None
    if match is None:
        return _UNKNOWN_TYPE, _UNKNOWN_TYPE
    return text, match[1].lower()


def disposition(metadata: Metadata, *, inline: bool) -> str:
    """Return Content-Disposition with the safe form of the name that the client gave, if any."""
    kind = "inline" if inline else "attachment"
    name = safe_name(metadata.value("filename") or metadata.value("name") or b"")
    if not name:
        return kind
    # RFC 6266 appendix D: percent signs in the plain form are decoded by some clients.
    plain = "".join(char if char.isascii() and char != "%" else "_" for char in name)
    if plain == name:
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def safe_name(raw: bytes) -> str:
    """Return a file name that is only a name: no path, no control, nothing that turns text around.

    Each character that is not safe becomes an underscore, so that names stay apart.
    """
    text = raw[: 8 * _LONGEST_NAME].decode("utf-8", errors="replace")
    safe = "".join(
        "_" if char in _UNSAFE or category(char) in _UNSAFE_CATEGORIES else char for char in text
    )
    return safe.strip(" .")[:_LONGEST_NAME] if safe.strip(" ._") else ""
