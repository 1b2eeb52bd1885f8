"""fileloft's directories: ``{id}.info``, a file ``{id}_part_{n}`` for each PATCH, ``{id}`` at last.

What ``.info`` says of the offset is what the client was told. fileloft writes a part, then
``.info``, neither of them atomically, and joins the parts when the last byte has come.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.errors import StoreError
from fileloft_fast.model import Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.adoption.contents import digest_joined, opened
from fileloft_fast.stores.fs.adoption.plan import (
    INFO,
    OURS,
    Info,
    Plan,
    Source,
    Verdict,
    concat_of,
    left_out,
    match_id,
    maybe_source,
    metadata_of,
    read_info,
    rebuilt,
)
from fileloft_fast.stores.fs.info_file import parse_info

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOCKS: Final = "locks"
"""fileloft makes this folder in its data directory at the first PATCH."""

_CUT_OFF: Final = f"{INFO}.tmp"
"""An ``.info`` that was being replaced."""

match_part: Final = re.compile(r"(.+)_part_(0|[1-9][0-9]{0,9})").fullmatch


class Found(Struct, frozen=True):
    """What lies on the disk for one upload. *recorded_ns*: when its ``.info`` was last written."""

    parts: tuple[tuple[int, Source], ...]
    data: Source | None
    recorded_ns: int


class FileloftDirectory:
    """Uploads of fileloft in *path*; *base_path* is where they will be served.

    In place, what is finished is left as it is: this server reads it. *thorough*: look at uploads
    whose names alone say that there is nothing to do, too.
    """

    def __init__(
        self, path: Path, base_path: str, *, in_place: bool, thorough: bool = True
    ) -> None:
        self.path = path
        self._base_path = base_path
        self._in_place = in_place
        self._thorough = thorough
        self._parts: dict[str, list[int]] = {}

    def names(self) -> Sequence[str]:
        """Read the directory once; see ``ForeignDirectory``.

        Unless it is thorough, nothing is kept of uploads whose names say that there is nothing to
        do: there may be a million of them, at each start.
        """
        wanted = set[str]()
        self._parts = {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                name = entry.name.removesuffix(INFO)
                if name != entry.name:
                    if self._thorough or not self._has(name):
                        wanted.add(name)
                elif name.endswith(_CUT_OFF):
                    name = name.removesuffix(_CUT_OFF)
                    if self._has(name + INFO):
                        wanted.add(name)
                elif (match := match_part(name)) and self._is_part(match):
                    self._parts.setdefault(match[1], []).append(int(match[2]))
        return sorted(wanted | self._parts.keys())

    def _is_part(self, match: re.Match[str]) -> bool:
        """Return whether a file is a part of an upload, and no upload that is called like one."""
        return self._has(match[1] + INFO) and not self._has(match[0] + INFO)

    def _has(self, name: str) -> bool:
        return os.path.lexists(f"{self.path}/{name}")

    def plan(self, name: str) -> Plan:
        """Decide what becomes of *name*; see ``ForeignDirectory``."""
        if not match_id(name):
            return left_out(name, "this server has no URL for such an id")
        upload = UploadId(name)
        read = read_info(self.path / f"{name}{INFO}")
        found = self._found(name, read)
        try:
            record = parse_info(read.contents, upload)
        except StoreError:
            return left_out(name, "its .info cannot be read: not fileloft's, or cut off by a crash")
        if record.mark_at is not None:
            return plan_ours(name, found) if self._in_place else left_out(name, OURS)
        if _is_held(self.path / LOCKS / f"{name}.lock"):
            return left_out(name, "a fileloft that runs holds its lock")
        metadata, why = metadata_of(record.info.metadata.pairs)
        info = replace(record.info, metadata=metadata, created_at=found.recorded_ns / 1e9)
        if info.concat is not Concat.NONE:
            raw = concat_of(
                self._base_path, partial=info.concat is Concat.PARTIAL, partials=info.partials
            )
            info = replace(info, concat_raw=raw)
        plan = checked(plan_fileloft(info, found, in_place=self._in_place), info, found)
        if plan.verdict is Verdict.LEFT_OUT and info.concat is Concat.FINAL and info.complete:
            plan = self._plan_final(info, plan)
        return replace(plan, why=plan.why or why, recorded=read.recorded)

    def retire(self) -> None:
        """Take fileloft's locks away; see ``ForeignDirectory``."""
        locks = self.path / LOCKS
        if not is_locks(locks):
            return
        for lock in locks.iterdir():
            with suppress(PermissionError):  # root's, of a fileloft that ran as root
                if _is_lock(lock) and not _is_held(lock):
                    lock.unlink(missing_ok=True)
        with suppress(OSError):  # what is in there besides is not fileloft's
            locks.rmdir()

    def _found(self, name: str, read: Info) -> Found:
        parts = []
        for number in sorted(self._parts.get(name, ())):
            source = maybe_source(self.path / f"{name}_part_{number}")
            if source is not None:
                parts.append((number, source))
        return Found(tuple(parts), maybe_source(self.path / name), read.modified_ns)

    def _plan_final(self, info: UploadInfo, otherwise: Plan) -> Plan:
        """Put a joined upload together again, which fileloft empties when it has joined it."""
        sources = rebuilt(self.path, info, [self._length(name) for name in info.partials])
        if not sources:
            return otherwise
        return Plan(
            name=info.id,
            verdict=Verdict.ADOPT,
            why="joined again: fileloft lost its bytes",
            info=info,
            sources=sources,
        )

    def _length(self, name: str) -> int | None:
        if not match_id(name):
            return None
        try:
            read = read_info(self.path / f"{name}{INFO}")
            return parse_info(read.contents, UploadId(name)).info.length
        except (StoreError, OSError):  # which makes it a partial upload that is not there
            return None


def plan_ours(name: str, found: Found) -> Plan:
    """Decide about an upload that was adopted: parts that a crash left go.

    They are in it, or no client was told of them: a fileloft that acknowledges rewrites ``.info``.
    """
    leftovers = tuple(part.path for _, part in found.parts)
    return Plan(name=name, verdict=Verdict.KNOWN, leftovers=leftovers)


def plan_fileloft(info: UploadInfo, found: Found, *, in_place: bool) -> Plan:
    """Decide about an upload of which fileloft told its client ``info.offset``."""
    if info.length is not None and info.offset > info.length:
        return left_out(info.id, f"its offset {info.offset} lies behind its length {info.length}")
    if info.concat is Concat.FINAL and not info.complete:
        return left_out(info.id, "it was being joined when the server ended: no client knows of it")
    parts, wrong = acknowledged(info.offset, found)
    held = 0 if found.data is None else found.data.size
    if found.data is not None and _is_joined(info, found.data, found) and (wrong or not parts):
        return _plan_finished(info, found, found.data, in_place=in_place)
    if wrong:
        return left_out(info.id, _damage(info, held) if not found.parts else wrong)
    if held > info.offset:
        return left_out(info.id, f"{held} bytes lie there, of which its .info does not know")
    leftovers = tuple(part.path for _, part in found.parts)
    return Plan(
        name=info.id,
        verdict=Verdict.ADOPT,
        info=info,
        sources=parts,
        leftovers=leftovers if in_place else (),
    )


def acknowledged(offset: Offset, found: Found) -> tuple[tuple[Source, ...], str]:
    """Return the parts that make up the first *offset* bytes, or why there are none.

    A server that ended between a part and its ``.info`` leaves a part that no client was told of.
    It can be told from the others only while it is the last one: the next PATCH gets the next
    number and brings the same bytes again, and then fileloft itself joins both.
    """
    if [number for number, _ in found.parts] != list(range(len(found.parts))):
        return (), "one of its parts is missing"
    parts = tuple(part for _, part in found.parts)
    total = sum(part.size for part in parts)
    if total == offset:
        return parts, ""
    if total < offset:
        return (), f"{offset - total} bytes are missing that the client was told are there"
    if total - parts[-1].size == offset and parts[-1].modified_ns > found.recorded_ns:
        return parts[:-1], ""
    return (), "bytes of which no client was told lie among its parts"


def _is_joined(info: UploadInfo, data: Source, found: Found) -> bool:
    """Return whether *data* is the whole upload, and the parts at most what is left of it."""
    left = sum(part.size for _, part in found.parts)
    return info.complete and data.size == info.offset and left <= info.offset


def _plan_finished(info: UploadInfo, found: Found, data: Source, *, in_place: bool) -> Plan:
    leftovers = tuple(part.path for _, part in found.parts)
    if in_place:
        return Plan(name=info.id, verdict=Verdict.KNOWN, leftovers=leftovers)
    return Plan(name=info.id, verdict=Verdict.ADOPT, info=info, sources=(data,))


def checked(plan: Plan, info: UploadInfo, found: Found) -> Plan:
    """Return *plan* where what it deletes or replaces lies in what stays, too. Reads both.

    Names and sizes say which bytes these ought to be; somebody's file may have the same.
    """
    if found.data is None or plan.verdict is Verdict.LEFT_OUT:
        return plan
    parts = [part for _, part in found.parts]
    if plan.verdict is Verdict.KNOWN:  # fileloft deletes the parts it has joined, the first first
        size = sum(part.size for part in parts)
        at, same = info.offset - size, digest_joined(parts, 0, size)
    elif not info.complete:  # fileloft has not begun to join them: this is of a run cut off
        size, at = found.data.size, 0
        same = digest_joined(plan.sources, 0, size)
    else:
        return plan
    if digest_joined([found.data], at, size) != same:
        return left_out(plan.name, f"its parts and {found.data.path} do not agree")
    return plan


def is_locks(path: Path) -> bool:
    """Return whether *path* is a folder such as fileloft makes, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _is_lock(path: Path) -> bool:
    """Return whether *path* is what fileloft makes there: a file with nothing in it."""
    found = maybe_source(path)
    return found is not None and found.size == 0 and path.name.endswith(".lock")


def _is_held(lock: Path) -> bool:
    """Return whether a process holds *lock*, which the kernel takes back when it ends."""
    try:
        with opened(lock) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _damage(info: UploadInfo, held: int) -> str:
    return f"damaged: {held} of {info.offset} bytes are there"
