"""The grammar of every field of this protocol: structured fields of RFC 9651.

What a field means that is not of its type, the drafts say: as if it were not there. Parameters are
let pass. Field values arrive as latin-1.
"""

from collections.abc import Mapping
from typing import Final, Literal

import http_sf

from fileloft_fast.resumable.versions import FINAL, VERSIONS, Version

INTEROP: Final = "upload-draft-interop-version"
PARTIAL: Final = "application/partial-upload"
"""The media type of what is appended."""

LARGEST: Final = 999_999_999_999_999
"""The largest Integer of RFC 9651, which leaves no room for a larger offset or length."""

# The parser takes up to 2 us a byte, while every other connection waits: a head that is all
# parameters and inner lists would take 60 ms. Every digest that is registered fits twice.
_LONGEST: Final = 2048

FLAGS: Final = {"?0": False, "?1": True}
"""The Booleans as nearly everybody sends them: a look-up instead of a parser, on every request."""

_FLAG_VALUES: Final = ("?0", "?1")
_NAMED: Final = {str(number): version for number, version in VERSIONS.items()}


def maybe_flag(value: str | None) -> bool | None:
    """Return a Boolean item; None where there is none, or something else."""
    item = None if value is None else maybe_item(value)
    return item if isinstance(item, bool) else None


def maybe_count(value: str | None) -> int | None:
    """Return a non-negative Integer item; None where there is none, or something else."""
    if value is None:
        return None
    if 0 < len(value) <= 15 and value.isascii() and value.isdecimal():
        return int(value)
    item = maybe_item(value)
    if not isinstance(item, int) or isinstance(item, bool) or item < 0:
        return None
    return item


def maybe_item(value: str) -> object:
    """Return the bare value of an item, without its parameters; None where *value* is none."""
    parsed = _maybe_parsed(value, "item")
    return parsed[0] if isinstance(parsed, tuple) else None


def maybe_dictionary(value: str) -> Mapping[str, object] | None:
    """Return the bare values of a dictionary by key, in order; None where *value* is none.

    An inner list is a list; a key that comes twice counts as it came last (RFC 9651 4.2.2).
    """
    parsed = _maybe_parsed(value, "dictionary")
    if not isinstance(parsed, dict):
        return None
    return {key: member[0] for key, member in parsed.items() if isinstance(member, tuple)}


def maybe_version(value: str) -> Version | None:
    """Return the version that ``Upload-Draft-Interop-Version`` names, if it is spoken here."""
    named = _NAMED.get(value)
    if named is not None:
        return named
    number = maybe_count(value)
    return None if number is None else VERSIONS.get(number)


def maybe_ends(fields: Mapping[str, str], version: Version) -> bool | None:
    """Return whether a body ends the upload by ``Upload-Complete`` or its opposite."""
    value = fields.get(version.field)
    if value is None:
        return None
    flag = FLAGS.get(value)
    if flag is None:
        flag = maybe_flag(value)
    return None if flag is None else flag is not version.inverse


def render_ends(version: Version, *, complete: bool) -> tuple[str, str]:
    """Return the field that says whether the upload is complete."""
    name = "Upload-Incomplete" if version.inverse else "Upload-Complete"
    return name, _FLAG_VALUES[complete is not version.inverse]


def render_version(version: Version) -> tuple[tuple[str, str], ...]:
    """Return ``Upload-Draft-Interop-Version`` for an interim answer; the final form has none."""
    if version is FINAL:
        return ()
    return (("Upload-Draft-Interop-Version", str(version.number)),)


def is_partial_type(value: str | None) -> bool:
    """Return whether a media type is that of what is appended."""
    return value == PARTIAL or (
        value is not None and value.partition(";")[0].strip(" \t").lower() == PARTIAL
    )


def _maybe_parsed(value: str, kind: Literal["item", "dictionary"]) -> object:
    """Return what the library makes of *value*; None where it is none of its *kind*."""
    if len(value) > _LONGEST:
        return None
    # A character that no byte stands for makes no grammar fit.
    octets = value.encode("latin-1", errors="replace")
    try:
        return http_sf.parse(octets, tltype=kind)
    except ValueError:  # StructuredFieldError is one
        return None
