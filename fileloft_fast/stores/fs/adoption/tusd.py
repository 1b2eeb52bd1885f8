"""tusd's directories: ``{id}`` grows in place, ``{id}.info`` says what it is, by Go's field names.

The size of the data file is the offset; ``Offset`` in ``.info`` stays 0. A hook may have chosen the
id, with slashes as folders, and where the bytes are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from fileloft_fast.errors import StoreError
from fileloft_fast.model import Concat, Offset, UploadId, UploadInfo
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
    maybe_ours,
    maybe_source,
    metadata_of,
    read_info,
    rebuilt,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT_AS: Final = ".tusd"
_STORE: Final = "filestore"


class FileInfo(msgspec.Struct, rename="pascal"):
    """tusd's record of an upload."""

    size: int
    id: str = msgspec.field(default="", name="ID")
    size_is_deferred: bool = False
    meta_data: dict[str, str] | None = None
    is_partial: bool = False
    is_final: bool = False
    partial_uploads: list[str] | None = None
    storage: dict[str, str] | None = None


_DECODER: Final = msgspec.json.Decoder(FileInfo)


class TusdDirectory:
    """Uploads of tusd's file store in *path*; *base_path* is where they will be served."""

    def __init__(self, path: Path, base_path: str, *, in_place: bool) -> None:
        self.path = path
        self._base_path = base_path
        self._in_place = in_place

    def names(self) -> Sequence[str]:
        """Walk the directory, as slashes in an id are folders; see ``ForeignDirectory``."""
        found: list[str] = []
        for folder, _, files in os.walk(self.path, onerror=_fail):
            under = os.path.relpath(folder, self.path)
            prefix = "" if under == os.curdir else f"{under}/"
            found += [prefix + name.removesuffix(INFO) for name in files if name.endswith(INFO)]
        return sorted(found)

    def plan(self, name: str) -> Plan:
        """Decide what becomes of *name*; see ``ForeignDirectory``."""
        if not match_id(name):
            return left_out(name, "this server has no URL for such an id")
        read = read_info(self.path / f"{name}{INFO}")
        record = maybe_tusd(read.contents)
        if record is None:
            if maybe_ours(read.contents, UploadId(name)) is None:
                return left_out(name, "its .info cannot be read: not tusd's, or cut off by a crash")
            known = Plan(name=name, verdict=Verdict.KNOWN)
            return known if self._in_place else left_out(name, OURS)
        path = self._data_path(name, record)
        data = maybe_source(path)
        wrong = self._obstacle(name, record)
        if data is None or wrong:
            return left_out(name, wrong or f"there is no file {path}")
        why = self._trespass(data, read) or self._taken(name, data)
        return left_out(name, why) if why else self._plan(name, record, data, read)

    def _obstacle(self, name: str, record: FileInfo) -> str:
        """Say why *record* cannot be gone by, "" where it can."""
        if record.id not in {"", name}:
            return f"its .info is the one of {record.id}"
        kind = (record.storage or {}).get("Type", _STORE)
        if kind != _STORE:
            return f"its bytes are in another store: {kind}"
        return self._holder(name)

    def retire(self) -> None:
        """Do nothing: what tusd needed besides went with each upload; see ``ForeignDirectory``."""

    def _trespass(self, data: Source, read: Info) -> str:
        """Say so where *data* lies outside and is of another owner than the record that names it.

        Whoever may write in the directory could have any file of the machine served otherwise, with
        the rights of who adopts.
        """
        inside = os.path.realpath(data.path.parent)
        if Path(inside).is_relative_to(os.path.realpath(self.path)) or data.owner == read.owner:
            return ""
        return f"{data.path} is outside, and belongs to somebody else than its .info"

    def _taken(self, name: str, data: Source) -> str:
        """Say so where another file has the name that *data* would get."""
        target = maybe_source(self.path / name) if self._in_place else None
        if target is None or target.place == data.place or target.size == data.size:
            return ""  # of one size: the copy of a run that was cut off
        return f"its bytes are {data.path}, and {target.path} is another file"

    def _plan(self, name: str, record: FileInfo, data: Source, read: Info) -> Plan:
        partials = tuple(record.partial_uploads or ())
        metadata, why = metadata_of(
            (key, value.encode()) for key, value in (record.meta_data or {}).items()
        )
        concat, raw = Concat.NONE, ""
        if record.is_partial or record.is_final:
            concat = Concat.PARTIAL if record.is_partial else Concat.FINAL
            raw = concat_of(self._base_path, partial=record.is_partial, partials=partials)
        info = UploadInfo(
            id=UploadId(name),
            offset=Offset(data.size),
            length=None if record.size_is_deferred else record.size,
            metadata=metadata,
            concat=concat,
            concat_raw=raw,
            partials=tuple(map(UploadId, partials)),
            created_at=read.modified_ns / 1e9,
        )
        plan = plan_tusd(info, data)
        if plan.verdict is Verdict.LEFT_OUT and concat is Concat.FINAL:
            plan = self._plan_final(info, plan)
        if plan.verdict is Verdict.LEFT_OUT:
            return plan
        helpers = [self.path / f"{name}{end}" for end in (".lock", ".stop")]
        return msgspec.structs.replace(
            plan,
            why=plan.why or why,
            leftovers=tuple(filter(os.path.lexists, helpers)) if self._in_place else (),
            keep_as=KEPT_AS if self._in_place else "",
            recorded=read.recorded,
        )

    def _plan_final(self, info: UploadInfo, otherwise: Plan) -> Plan:
        sources = rebuilt(self.path, info, [self._length(name) for name in info.partials])
        if not sources:
            return otherwise
        return Plan(
            name=info.id,
            verdict=Verdict.ADOPT,
            why="joined again: tusd ended in the middle of it",
            info=msgspec.structs.replace(info, offset=Offset(sum(s.size for s in sources))),
            sources=sources,
        )

    def _length(self, name: str) -> int | None:
        if not match_id(name):
            return None
        try:
            contents = read_info(self.path / f"{name}{INFO}").contents
        except (OSError, StoreError):  # which makes it a partial upload that is not there
            return None
        ours = maybe_ours(contents, UploadId(name))
        if ours is not None:
            return ours.info.length
        record = maybe_tusd(contents)
        return None if record is None or record.size_is_deferred else record.size

    def _data_path(self, name: str, record: FileInfo) -> Path:
        """Return where the bytes are; tusd's paths begin where tusd was started, not here."""
        storage = record.storage or {}
        told = storage.get("Path", "")
        root = storage.get("InfoPath", "").removesuffix(f"{name}{INFO}")
        if root and told.startswith(root):
            told = told.removeprefix(root)
        elif root and told and not Path(told).is_absolute():  # beside the directory
            told = os.path.relpath(told, root)
        return self.path / (told or name)

    def _holder(self, name: str) -> str:
        """Say which process holds tusd's lock: the number in it, of a process that runs."""
        path = self.path / f"{name}.lock"
        try:
            number = int(read_info(path).contents)
        except (FileNotFoundError, ValueError):
            return ""
        if number <= 0:  # which tusd passes over, too, and kill takes for many processes
            return ""
        held = f"process {number} holds its lock; if that is not tusd, delete {path}"
        try:
            os.kill(number, 0)
        except (ProcessLookupError, OverflowError):
            return ""
        except PermissionError:  # it runs, as somebody else
            return held
        return held


def maybe_tusd(contents: bytes) -> FileInfo | None:
    """Return what *contents* say where tusd wrote them, else None."""
    try:
        record = _DECODER.decode(contents)
    except (msgspec.DecodeError, ValueError, RecursionError):  # not UTF-8; nested without end
        return None
    return record if record.size >= 0 else None


def plan_tusd(info: UploadInfo, data: Source) -> Plan:
    """Decide about an upload whose bytes are those of *data*."""
    if info.length is not None and data.size > info.length:
        return left_out(info.id, f"damaged: {data.size} bytes are there of {info.length}")
    if info.concat is Concat.FINAL and not info.complete:
        return left_out(info.id, f"damaged: joined to {data.size} of {info.length} bytes")
    return Plan(name=info.id, verdict=Verdict.ADOPT, info=info, sources=(data,))


def _fail(error: OSError) -> None:
    raise error
