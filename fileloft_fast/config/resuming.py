"""Settings of the IETF's resumable uploads, and of digests over whole uploads (RFC 9530)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from fileloft_fast.config.rows import setting
from fileloft_fast.config.serving import Serving
from fileloft_fast.config.values import parse_size, parse_word
from fileloft_fast.model import InterimMode, ResumableMode


class DigestMode(StrEnum):
    """Whether every upload is hashed as a whole, and in which algorithm."""

    OFF = "off"
    SHA256 = "sha256"
    SHA512 = "sha512"


def parse_resumable(text: str) -> ResumableMode:
    """Parse a mode of the IETF's protocol."""
    return parse_word(ResumableMode, text)


def parse_interim(text: str) -> InterimMode:
    """Parse who is sent interim answers."""
    return parse_word(InterimMode, text)


def parse_digest(text: str) -> DigestMode:
    """Parse an algorithm for whole uploads."""
    return parse_word(DigestMode, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resuming(Serving):
    """What is offered beside tus."""

    resumable: ResumableMode = setting(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_RESUMABLE",
        "drafts",
        parse_resumable,
        'the IETF\'s "Resumable Uploads for HTTP", which iOS and macOS speak: off, drafts'
        " (requests that name an interop version) or on (those of the final form, too)",
    )
    resumable_min_size_bytes: int = setting(
        "FILELOFT_RESUMABLE_MIN_SIZE",
        "0",
        parse_size,
        "bytes below which the IETF's protocol offers no resumption; 0 is no limit",
    )
    resumable_max_append_bytes: int = setting(
        "FILELOFT_RESUMABLE_MAX_APPEND",
        "0",
        parse_size,
        "most bytes that one request of the IETF's protocol may bring; 0 is no limit",
    )
    resumable_min_append_bytes: int = setting(
        "FILELOFT_RESUMABLE_MIN_APPEND",
        "0",
        parse_size,
        "fewest bytes that a request of the IETF's protocol brings, but for the last; 0 is no"
        " limit",
    )
    resumable_interim: InterimMode = setting(  # noqa: RUF009
        "FILELOFT_RESUMABLE_INTERIM",
        "auto",
        parse_interim,
        "send answers 104, without which iOS and macOS cannot resume: auto (not to requests that a"
        " proxy has passed on), on (where the proxy passes them on; nginx does not) or off",
    )
    digest: DigestMode = setting(  # noqa: RUF009
        "FILELOFT_DIGEST",
        "off",
        parse_digest,
        "hash every upload as a whole while it is received, by whatever protocol: off, sha256 or"
        " sha512",
    )


def resuming_contradictions(settings: Resuming) -> Iterator[str]:
    """Return what cannot be kept of limits that were set."""
    most, least = settings.resumable_max_append_bytes, settings.resumable_min_append_bytes
    if 0 < most < least:
        yield "FILELOFT_RESUMABLE_MIN_APPEND is larger than FILELOFT_RESUMABLE_MAX_APPEND"
    if 0 < settings.max_size_bytes < settings.resumable_min_size_bytes:
        yield "FILELOFT_RESUMABLE_MIN_SIZE is larger than FILELOFT_MAX_SIZE"
