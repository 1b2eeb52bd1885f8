"""The objects of a folder: uploads in it that the catalogue shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fileloft_fast.errors import NoSuchObjectError, UploadNotFoundError
from fileloft_fast.model import UploadId

if TYPE_CHECKING:
    from fileloft_fast.model import FileSlice
    from fileloft_fast.storages.catalogue import Catalogue
    from fileloft_fast.storages.entry import Entry, Pending
    from fileloft_fast.stores import FsStore


class FsShelf:
    """A ``Shelf``: a file stays where it was staged, and a row makes it an object."""

    def __init__(self, name: str, store: FsStore, catalogue: Catalogue) -> None:
        self._name = name
        self._store = store
        self._catalogue = catalogue

    async def publish(self, entry: Entry, *, overwrite: bool) -> Entry:
        """See ``Shelf``."""
        await self._catalogue.publish(self._name, entry, overwrite=overwrite)
        return entry

    async def promote(self, pending: Pending) -> bool:
        """See ``Shelf``: one transaction."""
        return await self._catalogue.promote(self._name, pending)

    async def look(self, path: str) -> Entry | None:
        """See ``Shelf``."""
        return await self._catalogue.look(self._name, path)

    async def read(self, entry: Entry, start: int, length: int) -> FileSlice:
        """See ``Shelf``; a removal does not disturb who reads."""
        try:
            found = await self._store.load(UploadId(entry.blob))
            return await self._store.read(found, start, length)
        except UploadNotFoundError as error:
            raise NoSuchObjectError("no such object") from error

    async def remove(self, path: str) -> bool:
        """See ``Shelf``; the file goes soon."""
        return await self._catalogue.remove(self._name, path)

    async def entries(self, prefix: str, after: str) -> AsyncIterator[Entry]:
        """See ``Shelf``."""
        while page := await self._catalogue.page(self._name, prefix, after):
            for entry in page:
                yield entry
            after = page[-1].path
