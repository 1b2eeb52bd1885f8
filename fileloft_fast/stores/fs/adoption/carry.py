"""Doing what was planned, so that a crash at any point leaves an upload whole in one place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import StoreError
from fileloft_fast.model import UploadId
from fileloft_fast.stores.fs.adoption.contents import check_same, digest, opened, opened_source
from fileloft_fast.stores.fs.adoption.plan import (
    INFO,
    Plan,
    Source,
    Verdict,
    left_out,
    maybe_ours,
    maybe_source,
    read_info,
    recorded_of,
)
from fileloft_fast.stores.fs.info_file import render_info

if TYPE_CHECKING:
    from pathlib import Path

_WORKING: Final = ".adopting"
_RANGE_BYTES: Final = 16 * 1024 * 1024  # a call to the kernel, after which progress is told
_BUFFER_BYTES: Final = 256 * 1024
_NO_RANGES: Final = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_NO_LINKS: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
)


class Carrier:
    """Makes adopted uploads in *directory*, for one process that owns it.

    In place, *directory* is where the other server's files are, too. *moved* is told of bytes as
    they are placed. Blocks.
    """

    def __init__(
        self,
        directory: Path,
        *,
        in_place: bool,
        file_mode: int,
        moved: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._path = directory
        self._in_place = in_place
        self._mode = file_mode
        self._moved = moved

    def settled(self, plan: Plan) -> Plan:
        """Return *plan*, unless what has its names in the directory already forbids it.

        OSError, StoreError.
        """
        if plan.info is None:
            return plan
        target = self._path / plan.name
        held = maybe_source(target)
        if held is None and os.path.lexists(target):
            return left_out(plan.name, f"{target} is there, and is not a file")
        return plan if self._in_place else self._settled_apart(plan, held)

    def _settled_apart(self, plan: Plan, held: Source | None) -> Plan:
        assert plan.info is not None
        name, info = plan.name, self._path / f"{plan.name}{INFO}"
        try:
            ours = maybe_ours(read_info(info).contents, UploadId(name))
        except FileNotFoundError:
            if held is not None and held.size != plan.info.offset:
                return left_out(name, f"{held.path} is there without .info; delete it first")
            return plan
        if ours is None or held is None or plan.info.length not in {ours.info.length, None}:
            return left_out(name, f"an upload of that id is in {self._path} already")
        if held.size < plan.info.offset:
            return left_out(name, f"it has gone on since it was adopted; delete {info} first")
        return Plan(name=name, verdict=Verdict.KNOWN)

    def carry(self, plan: Plan) -> None:
        """Do what *plan* says; what it removes has become durable elsewhere before.

        Doing it again, wherever it was cut off, ends the same. Raises OSError, StoreError; the
        other server's files are as they were then.
        """
        if plan.info is not None:
            self._place_data(plan)
            self._place_info(plan)
        elif plan.leftovers:
            _sync(self._path)  # the run that was cut off may not have come so far
        for path in plan.leftovers:
            path.unlink(missing_ok=True)

    def _place_data(self, plan: Plan) -> None:
        """Bring the bytes under their name: durable, and as old as they are."""
        target, working = self._path / plan.name, self._path / f"{plan.name}{_WORKING}"
        working.unlink(missing_ok=True)  # of a run that was cut off
        if len(plan.sources) == 1 and _is_same(plan.sources[0].path, target):
            _check(target, plan)
            _sync(target)
            self._moved(plan.sources[0].size)
            return
        try:
            if not self._maybe_link(plan, working):
                self._copy(plan.sources, working)
            _check(working, plan)
            working.rename(target)
        except (OSError, StoreError):
            working.unlink(missing_ok=True)  # it takes room
            raise

    def _maybe_link(self, plan: Plan, working: Path) -> bool:
        """Give the one file that holds all the bytes a second name, where that can be done.

        Into another directory only what no server will write to: both would see it.
        """
        assert plan.info is not None
        if len(plan.sources) != 1 or not (self._in_place or plan.info.complete):
            return False
        if not (self._in_place or self._is_theirs(plan.sources[0])):
            return False
        try:
            os.link(plan.sources[0].path, working, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
        check_same(plan.sources[0], working.lstat())
        _sync(working)
        self._moved(plan.sources[0].size)
        return True

    def _copy(self, sources: Iterable[Source], working: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(working, flags, self._mode)
        try:
            self._own(descriptor)
            at, newest = 0, 0
            for source in sources:
                with opened_source(source) as reading:
                    self._append(reading, descriptor, source.size)
                    _compare(reading, descriptor, at, source)
                at += source.size
                newest = max(newest, source.modified_ns)
            if newest:  # an upload expires so long after its last byte
                os.utime(descriptor, ns=(newest, newest))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _append(self, reading: int, writing: int, size: int) -> None:
        """Append *size* bytes, by sharing blocks or within the kernel where it can."""
        copy: Callable[[int, int, int], int] = os.copy_file_range
        left = size
        while left:
            try:
                done = copy(reading, writing, min(left, _RANGE_BYTES))
            except OSError as error:
                if error.errno not in _NO_RANGES or copy is _copy_by_hand:
                    raise
                copy = _copy_by_hand
                continue
            if done == 0:
                raise OSError(errno.ENODATA, "a file became shorter")
            left -= done
            self._moved(done)

    def _place_info(self, plan: Plan) -> None:
        """Write our record over the other server's, which stays under another name if asked."""
        assert plan.info is not None
        path = self._path / f"{plan.name}{INFO}"
        new = path.with_name(path.name + ".tmp")
        if plan.keep_as:
            self._keep(path, path.with_name(path.name + plan.keep_as))
        self._write(new, render_info(plan.info))
        if self._in_place and recorded_of(path.lstat()) != plan.recorded:
            new.unlink()
            raise StoreError("its .info was written meanwhile: the other server still runs")
        new.rename(path)
        _sync(self._path)

    def _keep(self, path: Path, name: Path) -> None:
        """Give *path* a second *name*, or a copy where there are no links."""
        try:
            os.link(path, name, follow_symlinks=False)
        except FileExistsError:
            return  # of a run that was cut off
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            copy = name.with_name(f"{name.name}{_WORKING}")
            self._write(copy, read_info(path).contents)
            copy.rename(name)

    def _write(self, path: Path, contents: bytes) -> None:
        """Make a file, durable but for its name; what a crash left of one goes before."""
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, self._mode)
        try:
            self._own(descriptor)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(contents)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _is_theirs(self, source: Source) -> bool:
        """Return whether whoever has the directory has *source*, where only root could tell."""
        return os.geteuid() != 0 or source.owner == self._path.stat().st_uid

    def _own(self, descriptor: int) -> None:
        """Give a file that root makes to whom the directory belongs, as who will serve it."""
        if os.geteuid() == 0:
            owner = self._path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _copy_by_hand(reading: int, writing: int, size: int) -> int:
    piece = memoryview(os.read(reading, min(size, _BUFFER_BYTES)))
    done = 0
    while done < len(piece):  # what was read has to be written: the next read is of what follows
        done += os.write(writing, piece[done:])
    return done


def _compare(reading: int, writing: int, at: int, source: Source) -> None:
    """Read both and raise StoreError where they differ: the original is deleted after this."""
    if digest(reading, 0, source.size) != digest(writing, at, source.size):
        raise StoreError(f"the copy of {source.path} differs from it")


def _check(path: Path, plan: Plan) -> None:
    """Raise StoreError where the other server has gone on writing, or where we could not write."""
    assert plan.info is not None
    size = path.stat().st_size
    if size != plan.info.offset:
        raise StoreError(f"{size} bytes came of {plan.info.offset}: the other server still runs")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError("its file cannot be written by who runs this command")


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    with opened(path) as descriptor:
        os.fsync(descriptor)
