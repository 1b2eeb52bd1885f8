"""The uploads in a directory, a slice at a time, for a thread that reads."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from fileloft_fast.dataplane import read_aged
from fileloft_fast.model import UPLOAD_ID_PATTERN, UploadId
from fileloft_fast.stores.store import Look

if TYPE_CHECKING:
    from collections.abc import Iterator

_INFO_NAME: Final = re.compile(rf"({UPLOAD_ID_PATTERN})\.info\Z")
_SLICE: Final = 512


S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


class Readable(Protocol[S_co]):
    """What is read in a thread until it returns nothing."""

    def read(self) -> S_co:
        """Return some more."""

    def close(self) -> None:
        """Give back what is open."""


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


class AgedListing:
    """The uploads whose data was last written between *since* and *until*; else as ``Listing``.

    An ``.info`` is not opened for that: the time of the data file is when the last byte came.
    """

    def __init__(self, path: str, since: float, until: float) -> None:
        self._path = path
        self._since = since
        self._until = until
        self._descriptor = -1

    def read(self) -> Look | None:
        """Look at some more files, None at the end. Blocks. Raises OSError."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        found = read_aged(self._descriptor, self._since, self._until)
        if found is None:
            return None
        seen, names = found
        return Look(seen, [UploadId(name.decode("ascii")) for name in names])

    def close(self) -> None:
        """Give the directory back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


async def slices(reader: Readable[S | None]) -> AsyncGenerator[S, None]:
    """Read slice by slice in a thread, then close."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            reading = loop.run_in_executor(None, reader.read)
            try:
                found = await asyncio.shield(reading)
            finally:
                # Closing the directory under the thread that reads it would crash the process.
                await asyncio.wait([reading])
            if not found:
                return
            yield found
    finally:
        reader.close()
