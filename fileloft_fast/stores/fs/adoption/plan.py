"""What is to become of one upload of another server; no byte moves here."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from msgspec import Struct

from fileloft_fast.errors import StoreError, WireError
from fileloft_fast.model import UPLOAD_ID_PATTERN, Metadata, UploadId, UploadInfo
from fileloft_fast.stores.fs.adoption.contents import opened
from fileloft_fast.stores.fs.info_file import Record, parse_info
from fileloft_fast.tus.headers import parse_metadata, render_metadata

if TYPE_CHECKING:
    from pathlib import Path

INFO: Final = ".info"
OURS: Final = "it is this server's already; what moves it is a copy of its two files"
_LARGEST_INFO: Final = 1 << 20  # what the engine reads of one, too

_AS_THEY_ARE: Final = "/-._~%!$'()*+,;=:@"  # what tusd lets a hook choose

match_id: Final = re.compile(UPLOAD_ID_PATTERN).fullmatch


class Verdict(StrEnum):
    """What becomes of an upload."""

    ADOPT = "adopt"
    KNOWN = "known"
    """Nothing is to be done but to take away what is left of it: this server serves it as it is."""
    LEFT_OUT = "left out"


class Source(Struct, frozen=True):
    """A file whose *size* bytes are the next ones of an upload.

    *place* is which file it is, device and inode, whatever comes to bear its name.
    """

    path: Path
    size: int
    modified_ns: int
    place: tuple[int, int]
    owner: int


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done with the upload *name*, and *why* where that needs saying.

    Where it is adopted, its bytes are those of *sources*, in order. *leftovers* are removed when
    that is durable, and the ``.info`` stays under its name with *keep_as* behind it. *recorded*
    says when that was written, and where it lies: a server that runs writes another.
    """

    name: str
    verdict: Verdict
    why: str = ""
    info: UploadInfo | None = None
    sources: tuple[Source, ...] = ()
    leftovers: tuple[Path, ...] = ()
    keep_as: str = ""
    recorded: tuple[int, int] = (0, 0)


class ForeignDirectory(Protocol):
    """A directory of another server."""

    path: Path

    def names(self) -> Sequence[str]:
        """Return the uploads in it: partial ones, too, and what cannot be adopted. OSError."""

    def plan(self, name: str) -> Plan:
        """Decide what becomes of *name*. Reads; changes nothing. OSError, StoreError."""

    def retire(self) -> None:
        """Take away what only the other server needed, once every upload is adopted. OSError."""


def left_out(name: str, why: str) -> Plan:
    """Return the plan to leave *name* as it is."""
    return Plan(name=name, verdict=Verdict.LEFT_OUT, why=why)


class Info(Struct, frozen=True):
    """An ``.info`` as it lies there: what it says, who wrote it, when and where."""

    contents: bytes
    owner: int
    modified_ns: int
    recorded: tuple[int, int]


def read_info(path: Path) -> Info:
    """Read an ``.info``. OSError; StoreError where it is a link or anything else but a file."""
    if stat.S_ISLNK(path.lstat().st_mode):
        raise StoreError(f"{path.name} is a link")
    with opened(path) as descriptor:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise StoreError(f"{path.name} is not a file")
        with open(descriptor, "rb", closefd=False) as file:
            contents = file.read(_LARGEST_INFO)
    return Info(contents, found.st_uid, found.st_mtime_ns, recorded_of(found))


def recorded_of(found: os.stat_result) -> tuple[int, int]:
    """Return what changes when an ``.info`` is written again."""
    return found.st_mtime_ns, found.st_ino


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
    place = (found.st_dev, found.st_ino)
    return Source(path, found.st_size, found.st_mtime_ns, place, found.st_uid)


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
    # A hook may have chosen them, and whoever can write there: no line ends in a header.
    return "final;" + " ".join(base_path + quote(name, safe=_AS_THEY_ARE) for name in partials)


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
