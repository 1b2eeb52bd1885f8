"""Doing what was planned, so that a crash at any point leaves an upload whole in one place."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import xxhash

from fileloft_fast.errors import StoreError
from fileloft_fast.model import UploadId
from fileloft_fast.stores.fs.adoption.plan import (
    INFO,
    Plan,
    Source,
    Verdict,
    left_out,
    maybe_ours,
    maybe_source,
    read_info,
)
from fileloft_fast.stores.fs.info_file import render_info

if TYPE_CHECKING:
    from pathlib import Path

_WORKING: Final = ".adopting"
_RANGE_BYTES: Final = 16 * 1024 * 1024  # a call to the kernel, after which progress is told
_BUFFER_BYTES: Final = 256 * 1024
_NO_RANGES: Final = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_NO_LINKS: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP})


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
        """Return *plan*, unless an upload of that id is in another directory's place already."""
        if self._in_place or plan.info is None:
            return plan
        name = plan.name
        try:
            ours = maybe_ours(read_info(self._path / f"{name}{INFO}"), UploadId(name))
        except FileNotFoundError:
            return plan
        held = maybe_source(self._path / name)
        if ours is None or held is None:
            return left_out(name, f"an upload of that id is in {self._path} already")
        if held.size < plan.info.offset:
            return left_out(
                name, f"it has gone on since it was adopted; delete {self._path}/{name}{INFO} first"
            )
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
        except (OSError, StoreError):
            working.unlink(missing_ok=True)  # it takes room
            raise
        working.rename(target)

    def _maybe_link(self, plan: Plan, working: Path) -> bool:
        """Give the one file that holds all the bytes a second name, where that can be done.

        Into another directory only what no server will write to: both would see it.
        """
        assert plan.info is not None
        if len(plan.sources) != 1 or not (self._in_place or plan.info.complete):
            return False
        try:
            os.link(plan.sources[0].path, working, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
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
                with _opened(source.path) as reading:
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
            with suppress(FileExistsError):
                os.link(path, f"{path}{plan.keep_as}", follow_symlinks=False)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(new, flags, self._mode)
        try:
            self._own(descriptor)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(render_info(plan.info))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.rename(path)
        _sync(self._path)

    def _own(self, descriptor: int) -> None:
        """Give a file that root makes to whom the directory belongs, as who will serve it."""
        if os.geteuid() == 0:
            owner = self._path.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _copy_by_hand(reading: int, writing: int, size: int) -> int:
    return os.write(writing, os.read(reading, min(size, _BUFFER_BYTES)))


def _compare(reading: int, writing: int, at: int, source: Source) -> None:
    """Read both and raise StoreError where they differ: the original is deleted after this."""
    if _hash(reading, 0, source.size) != _hash(writing, at, source.size):
        raise StoreError(f"the copy of {source.path} differs from it")


def _hash(descriptor: int, at: int, size: int) -> bytes:
    digest = xxhash.xxh3_128()
    end = at + size
    while at < end:
        piece = os.pread(descriptor, min(end - at, _BUFFER_BYTES), at)
        if not piece:
            raise OSError(errno.ENODATA, "a file became shorter")
        digest.update(piece)
        at += len(piece)
    return digest.digest()


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


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    with _opened(path) as descriptor:
        os.fsync(descriptor)
