"""The objects of a bucket: what lies under a prefix at keys that are paths, whoever put it there.

Nothing of it is in the catalogue, so that several servers, and others, can work on one bucket.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import PathRules
from fileloft_fast.dataplane import SYNC_NONE
from fileloft_fast.errors import NoSuchObjectError, ObjectNotFoundError, StoreError
from fileloft_fast.flush.attributes import ID_NAME
from fileloft_fast.flush.download import open_stream
from fileloft_fast.flush.own import delete_own
from fileloft_fast.model import UploadId
from fileloft_fast.observe.log import fields
from fileloft_fast.storages.courier import Courier, Pacing, Parcel
from fileloft_fast.storages.entry import UNKNOWN_TYPE, Entry
from fileloft_fast.storages.paths import is_path
from fileloft_fast.stores.remote.objects import Attributes

if TYPE_CHECKING:
    from fileloft_fast.config import StorageSettings
    from fileloft_fast.model import ByteStream
    from fileloft_fast.storages.catalogue import Catalogue
    from fileloft_fast.storages.entry import Pending
    from fileloft_fast.stores import FsStore
    from fileloft_fast.stores.remote.objects import ListedObjects, ObjectHead

log = logging.getLogger(__name__)

_PAGE: Final = 1000


class BucketShelf:
    """A ``Shelf``: what was staged is shipped, and then deleted here."""

    def __init__(
        self,
        storage: StorageSettings,
        store: FsStore,
        catalogue: Catalogue,
        objects: ListedObjects,
        pacing: Pacing,
    ) -> None:
        self._name = storage.name
        self._prefix = storage.prefix
        self._relaxed = storage.paths is PathRules.RELAXED
        self._store = store
        self._catalogue = catalogue
        self._objects = objects
        self._courier = Courier(objects, store.engine, pacing)

    async def publish(self, entry: Entry, *, overwrite: bool) -> Entry:
        """See ``Shelf``: ships the file, then deletes it."""
        published = await self._ship(entry, overwrite=overwrite)
        try:
            await self._store.remove(UploadId(entry.blob))
        except StoreError as error:  # it is there: the sweep deletes what stays here
            log.warning("a file was left", extra=fields(id=entry.blob, error=error))
        return published

    async def promote(self, pending: Pending) -> bool:
        """See ``Shelf``; what was shipped before a crash is found, or shipped again."""
        entry = pending.entry
        waiting = await self._catalogue.pending(self._name, entry.path)
        if waiting is None or waiting.entry.blob != entry.blob:
            return False
        await self._ship(entry, overwrite=pending.overwrite)
        if await self._catalogue.settle(self._name, pending):
            return True
        # While it was shipped it was deleted, or the next one has come, which does not undo it.
        if await self._catalogue.pending(self._name, entry.path) is not None:
            return True
        await delete_own(self._objects, self._prefix + entry.path, UploadId(entry.blob))
        return False

    async def look(self, path: str) -> Entry | None:
        """See ``Shelf``."""
        head = await self._objects.head(self._prefix + path)
        return None if head is None else _entry_of(path, head)

    async def read(self, entry: Entry, start: int, length: int) -> ByteStream:
        """See ``Shelf``: bytes of the version that *entry* is of."""
        key, tag = self._prefix + entry.path, f'"{entry.etag}"'
        try:
            return await open_stream(length, self._objects.get(key, start, length, tag))
        except ObjectNotFoundError as error:
            raise NoSuchObjectError("no such object") from error

    async def remove(self, path: str) -> bool:
        """See ``Shelf``."""
        key = self._prefix + path
        if await self._objects.head(key) is None:
            return False
        await self._objects.delete(key)
        return True

    async def entries(self, prefix: str, after: str) -> AsyncIterator[Entry]:
        """See ``Shelf``; a list tells neither content types nor metadata.

        SeaweedFS has an order of its own, that of a file system.
        """
        start = self._prefix + after if after else ""
        if after and not self._relaxed:
            # No strict path comes between "a" and "a/", and SeaweedFS leaves out what lies under
            # the key itself that a list goes on after.
            start += "/"
        found = self._objects.list_objects(self._prefix + prefix, start, _PAGE)
        async with aclosing(found) as objects:
            async for each in objects:
                path = each.key.removeprefix(self._prefix)
                if is_path(path, relaxed=self._relaxed):
                    yield Entry(
                        path=path,
                        size=each.size,
                        etag=each.tag.strip('"'),
                        content_type="",
                        modified_at=each.modified_at,
                    )

    async def _ship(self, entry: Entry, *, overwrite: bool) -> Entry:
        attributes = Attributes(
            content_type=_plain(entry.content_type),
            metadata={**dict(entry.metadata), ID_NAME: entry.blob},
        )
        async with self._opened(UploadId(entry.blob), entry.size) as descriptor:
            parcel = Parcel(
                key=self._prefix + entry.path,
                descriptor=descriptor,
                size=entry.size,
                attributes=attributes,
                overwrite=overwrite,
            )
            head = await self._courier.ship(parcel)
        return Entry(
            path=entry.path,
            size=entry.size,
            etag=head.tag.strip('"'),
            content_type=attributes.content_type,
            modified_at=time.time(),
            metadata=entry.metadata,
        )

    @asynccontextmanager
    async def _opened(self, blob: UploadId, size: int) -> AsyncGenerator[int, None]:
        file = await self._store.read(await self._store.load(blob), 0, size)
        try:
            yield file.descriptor
        finally:
            await self._store.engine.close_file(file.descriptor, SYNC_NONE)


def _plain(content_type: str) -> str:
    """Return a content type as every store takes it: a run of spaces is not signed by all alike."""
    plain = " ".join(content_type.split())
    return plain if plain and plain.isascii() and plain.isprintable() else UNKNOWN_TYPE


def _entry_of(path: str, head: ObjectHead) -> Entry:
    """Return what the store says of the object at *path*."""
    return Entry(
        path=path,
        size=head.size,
        etag=head.tag.strip('"'),
        content_type=head.content_type or UNKNOWN_TYPE,
        modified_at=head.modified_at,
        metadata=tuple(
            (name.lower(), value) for name, value in head.metadata.items() if name != ID_NAME
        ),
    )
