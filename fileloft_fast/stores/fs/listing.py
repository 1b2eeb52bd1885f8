"""The uploads in a directory, a slice at a time, for a thread that reads."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from fileloft_fast.model import UPLOAD_ID_PATTERN, UploadId

if TYPE_CHECKING:
    from collections.abc import Iterator

_INFO_NAME: Final = re.compile(rf"({UPLOAD_ID_PATTERN})\.info\Z")
_SLICE: Final = 512


class Listing:
    """Reads a directory from its start; not for two threads at once. Close it when nobody reads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._entries: Iterator[os.DirEntry[str]] | None = None
        self._open = ExitStack()

    def read(self) -> list[UploadId]:
        """Return some more ids, an empty list at the end. Blocks. Raises OSError."""
        if self._entries is None:
            self._entries = self._open.enter_context(os.scandir(self._path))
        found: list[UploadId] = []
        for entry in self._entries:
            match = _INFO_NAME.match(entry.name)
            if match is not None:
                found.append(UploadId(match[1]))
                if len(found) == _SLICE:
                    break
        return found

    def close(self) -> None:
        """Give the directory back."""
        self._open.close()
