"""Where an object may be: what a path must look like, and paths that no two objects share.

A strict path is letters, digits and slashes, so that it means the same in every store, URL and file
system. A relaxed one may have full stops, hyphens and underscores too.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from fileloft_fast.errors import InvalidPathError

LONGEST_PATH_BYTES: Final = 1024  # as keys of S3
_RANDOM_BYTES: Final = 16

_STRICT: Final = re.compile(r"[A-Za-z0-9]+(?:/[A-Za-z0-9]+)*")
_RELAXED: Final = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
# Of "archive.tar.gz" the last one: it is what content types are guessed from.
_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9]{1,16}\Z")


def check_path(path: str, *, relaxed: bool = False, longest: int = LONGEST_PATH_BYTES) -> str:
    """Return *path*, if an object may be there. Raises InvalidPathError, which says why not."""
    if not 1 <= len(path) <= longest:
        raise InvalidPathError(f"a path has 1 to {longest} characters")
    if relaxed:
        if not _RELAXED.fullmatch(path):
            raise InvalidPathError(
                "a path is letters, digits, '.', '-' and '_' between single slashes"
            )
        if not {".", ".."}.isdisjoint(path.split("/")):
            raise InvalidPathError("no part of a path is '.' or '..'")
    elif not _STRICT.fullmatch(path):
        raise InvalidPathError("a path is letters and digits between single slashes")
    return path


def is_path(path: str, *, relaxed: bool) -> bool:
    """Return whether an object may be at *path*."""
    try:
        check_path(path, relaxed=relaxed)
    except InvalidPathError:
        return False
    return True


def make_path(folder: str, name: str = "", *, relaxed: bool = False) -> str:
    """Return a path in *folder*, at the top where it is empty, that no other object has.

    It ends with 128 random bits, so it cannot be guessed either. Of *name*, which a person may have
    chosen, only the extension is taken, and only into a relaxed path. Raises InvalidPathError.
    """
    made = secrets.token_hex(_RANDOM_BYTES)
    if relaxed and (extension := _EXTENSION.search(name)):
        made += extension[0].lower()
    return check_path(f"{folder}/{made}" if folder else made, relaxed=relaxed)
