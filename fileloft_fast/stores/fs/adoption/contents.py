"""What lies in files: read and compared before anything is deleted or replaced."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import xxhash

from fileloft_fast.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.fs.adoption.plan import Source

_BUFFER_BYTES: Final = 256 * 1024


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open *path* for reading, where it is no link. OSError."""
    # A pipe of that name would keep an open without O_NONBLOCK waiting for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_source(source: Source) -> Iterator[int]:
    """Open the file that was planned with. OSError; StoreError where another has its name now."""
    with opened(source.path) as descriptor:
        check_same(source, os.fstat(descriptor))
        yield descriptor


def check_same(source: Source, found: os.stat_result) -> None:
    """Raise StoreError where *found* is not the file that was planned with."""
    if (found.st_dev, found.st_ino) != source.place:
        raise StoreError(f"another file came to be {source.path}")


def digest(descriptor: int, at: int, size: int) -> bytes:
    """Return what *size* bytes at *at* hash to. OSError where there are fewer."""
    made = xxhash.xxh3_128()
    _feed(made, descriptor, at, size)
    return made.digest()


def digest_joined(sources: Iterable[Source], at: int, size: int) -> bytes:
    """Return what *size* bytes at *at* of all *sources*, one after the other, hash to.

    Reads no further than there are bytes. OSError, StoreError.
    """
    made = xxhash.xxh3_128()
    end, begin = at + size, 0
    for source in sources:
        first, last = max(at, begin), min(end, begin + source.size)
        if first < last:
            with opened_source(source) as descriptor:
                _feed(made, descriptor, first - begin, last - first)
        begin += source.size
    return made.digest()


def _feed(made: xxhash.xxh3_128, descriptor: int, at: int, size: int) -> None:
    end = at + size
    while at < end:
        piece = os.pread(descriptor, min(end - at, _BUFFER_BYTES), at)
        if not piece:
            raise OSError(errno.ENODATA, "a file became shorter")
        made.update(piece)
        at += len(piece)
