"""What a crash leaves in the directory: bytes without ``.info``, and an ``.info`` half replaced.

Other servers name files as this one does, and keep their records elsewhere: what lay in a directory
before this server worked there is none of its leftovers.
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from contextlib import ExitStack, aclosing
from itertools import islice
from typing import TYPE_CHECKING, Final

from fileloft_fast.model import MADE_ID_PATTERN
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.fs.listing import slices

if TYPE_CHECKING:
    from collections.abc import Iterator

_match_name: Final = re.compile(rf"({MADE_ID_PATTERN})(|\.zst|\.info\.tmp)").fullmatch
_SLICE: Final = 4096
_REST_S: Final = 0.02  # after each slice: requests come first

SINCE: Final = ".since"
"""A file in the directory, as old as this server's work there: no upload's id begins with a dot."""


async def remove_leftovers(path: str, older_than: float, opened_at: float) -> int:
    """Remove files that belong to no upload and were last written before *older_than*.

    An upload that is being made has its bytes a moment before its ``.info``. One with a journal is
    left, for its shipment to be settled; so is what was written before the first look, by a server
    that had the directory open from *opened_at* on. Returns how many files that were. StoreError.
    """
    leftovers = Leftovers(path, older_than, opened_at)
    try:
        async with aclosing(slices(leftovers)) as looks:
            async for _ in looks:
                await asyncio.sleep(_REST_S)
    except OSError as error:
        raise store_error(error) from error
    return leftovers.removed


class Leftovers:
    """Goes through a directory from its start, for a thread. Close it when nobody reads."""

    def __init__(self, path: str, older_than: float, opened_at: float) -> None:
        self.removed = 0
        self._path = path
        self._older_than = older_than
        self._opened_at = opened_at
        self._since = older_than
        self._entries: Iterator[os.DirEntry[str]] | None = None
        self._open = ExitStack()

    def read(self) -> int:
        """Look at some more files; return at how many, 0 at the end. Blocks. Raises OSError."""
        if self._entries is None:
            self._since = _ensure_since(f"{self._path}/{SINCE}", self._opened_at)
            self._entries = self._open.enter_context(os.scandir(self._path))
        entries = list(islice(self._entries, _SLICE))
        for entry in entries:
            match = _match_name(entry.name)
            if match is not None and self._is_leftover(entry, match[1], match[2]):
                self._remove(entry.path)
        return len(entries)

    def close(self) -> None:
        """Give the directory back."""
        self._open.close()

    def _is_leftover(self, entry: os.DirEntry[str], upload: str, suffix: str) -> bool:
        if suffix != ".info.tmp" and (self._has(upload, ".info") or self._has(upload, ".journal")):
            return False
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_ISREG(found.st_mode) and self._since <= found.st_mtime < self._older_than

    def _has(self, upload: str, suffix: str) -> bool:
        return os.path.lexists(f"{self._path}/{upload}{suffix}")

    def _remove(self, path: str) -> None:
        try:
            os.unlink(path)  # noqa: PTH108 - one call a file
        except FileNotFoundError:
            return
        self.removed += 1


def _ensure_since(path: str, opened_at: float) -> float:
    """Return since when this server has worked here: for the first time since *opened_at*."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return os.lstat(path).st_mtime
    try:
        os.utime(descriptor, (opened_at, opened_at))
    finally:
        os.close(descriptor)
    return opened_at
