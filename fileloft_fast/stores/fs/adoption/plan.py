"""What is to become of one upload of another server; no byte moves here."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from fileloft_fast.errors import StoreError, WireError
from fileloft_fast.model import UPLOAD_ID_PATTERN, Metadata, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import Record, parse_info
from fileloft_fast.tus.headers import parse_metadata, render_metadata

if TYPE_CHECKING:
    from pathlib import Path

INFO: Final = ".info"
_LARGEST_INFO: Final = 1 << 20  # what the engine reads of one, too

match_id: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch


class Verdict(StrEnum):
    """What becomes of an upload."""

    ADOPT = "adopt"
    KNOWN = "known"
    """Nothing is to be done but to take away what is left of it: this server serves it as it is."""
    LEFT_OUT = "left out"


class Source(Struct, frozen=True):
    """A file whose *size* bytes are the next ones of an upload."""

    path: Path
    size: int
    modified_ns: int


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done with the upload *name*, and *why* where that needs saying.

    Where it is adopted, its bytes are those of *sources*, in order. *leftovers* are removed when
    that is durable, and the ``.info`` stays under its name with *keep_as* behind it.
    """

    name: str
    verdict: Verdict
    why: str = ""
    info: UploadInfo | None = None
    sources: tuple[Source, ...] = ()
    leftovers: tuple[Path, ...] = ()
    keep_as: str = ""


class ForeignDirectory(Protocol):
    """A directory of another server."""

    path: Path

    def names(self) -> Sequence[str]:
        """Return the uploads in it: partial ones, too, and what cannot be adopted. OSError."""

    def plan(self, name: str) -> Plan:
        """Decide what becomes of *name*. Reads; changes nothing. OSError."""

    def retire(self) -> None:
        """Take away what only the other server needed, once every upload is adopted. OSError."""


def left_out(name: str, why: str) -> Plan:
    """Return the plan to leave *name* as it is."""
    return Plan(name=name, verdict=Verdict.LEFT_OUT, why=why)


def read_info(path: Path) -> bytes:
    """Return the contents of an ``.info``. OSError."""
    with path.open("rb") as file:
        return file.read(_LARGEST_INFO)


def maybe_ours(contents: bytes, upload: UploadId) -> Record | None:
    """Return what *contents* say where this server wrote them, else None."""
    try:
        record = parse_info(contents, upload)
    except StoreError:
        return None
    return None if record.mark_at is None else record


def maybe_source(path: Path) -> Source | None:
    """Return the file *path* as a source, None where it is no regular file. OSError."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Source(path, found.st_size, found.st_mtime_ns)


def metadata_of(pairs: Iterable[tuple[str, bytes]]) -> tuple[Metadata, str]:
    """Return the header again that the other server did not keep, and what could not go into it.

    A key that a hook chose may be one that no header can carry.
    """
    kept: list[tuple[str, bytes]] = []
    dropped: list[str] = []
    for key, value in pairs:
        try:
            parse_metadata(render_metadata([(key, value)]))
        except WireError:
            dropped.append(key)
        else:
            if " " in key or "," in key or not key:
                dropped.append(key)
            else:
                kept.append((key, value))
    why = f"without the metadata {', '.join(map(repr, dropped))}" if dropped else ""
    return parse_metadata(render_metadata(kept)), why


def concat_of(base_path: str, *, partial: bool, partials: Iterable[str]) -> str:
    """Return ``Upload-Concat`` again, which neither server keeps, for a server at *base_path*."""
    if partial:
        return "partial"
    return "final;" + " ".join(base_path + name for name in partials)


def rebuilt(directory: Path, info: UploadInfo, lengths: Sequence[int | None]) -> tuple[Source, ...]:
    """Return the partial uploads' files where they make up the whole of *info*, else nothing.

    *lengths* are what is known of their lengths, in order; a file of another size is not whole.
    """
    sources: list[Source] = []
    for partial, length in zip(info.partials, lengths, strict=True):
        source = maybe_source(directory / partial)
        if source is None or source.size != length:
            return ()
        sources.append(source)
    whole = sum(source.size for source in sources)
    return tuple(sources) if sources and whole == info.length else ()
