"""One named storage: what comes, what is verified, what is shown, and what goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.config import PathRules
from fileloft_fast.errors import (
    CatalogueError,
    FileloftError,
    NoSuchStorageError,
    ObjectExistsError,
    TicketExpiredError,
    WireError,
)
from fileloft_fast.model import UploadId
from fileloft_fast.storages.catalogue import SPENT_KEPT_S
from fileloft_fast.storages.paths import LONGEST_PATH_BYTES, check_path
from fileloft_fast.tus.effects import Coding

if TYPE_CHECKING:
    from fileloft_fast.config import StorageSettings
    from fileloft_fast.model import Body, ByteStream, FileSlice, UploadInfo
    from fileloft_fast.storages.catalogue import Catalogue
    from fileloft_fast.storages.entry import Entry, Shelf, Wish
    from fileloft_fast.storages.form_file import FormFile
    from fileloft_fast.storages.reception import Check, Reception


_VERIFIED_WITHIN_S: Final = 600.0


class NamedStorage:
    """Objects at paths. What comes with a ticket is shown once it is verified, all else at once.

    ``dirty`` is set where uploads are left to be deleted.
    """

    def __init__(
        self,
        settings: StorageSettings,
        shelf: Shelf,
        reception: Reception,
        catalogue: Catalogue,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.reception = reception
        self.catalogue = catalogue
        self.dirty = asyncio.Event()
        self.dirty.set()  # a process before this one may have left something
        self._shelf = shelf

    def check_path(self, path: str) -> str:
        """Return *path* if an object may be there. Raises InvalidPathError."""
        settings = self.settings
        return check_path(
            path,
            relaxed=settings.paths is PathRules.RELAXED,
            longest=LONGEST_PATH_BYTES - len(settings.prefix.encode()),
        )

    def largest(self, wanted: int = 0) -> int:
        """Return how many bytes an object may have where *wanted* is asked for; 0 is no bound."""
        bounds = [size for size in (wanted, self.settings.max_size_bytes) if size]
        return min(bounds, default=0)

    async def put(  # noqa: PLR0913 - a request, each thing by its name
        self,
        wish: Wish,
        body: Body,
        size: int | None,
        *,
        coding: Coding = Coding.IDENTITY,
        pieces: AsyncGenerator[bytes, None] | None = None,
        form: FormFile | None = None,
        check: Check | None = None,
        algorithm: str | None = None,
    ) -> Entry:
        """Receive a whole object and settle it; see ``Reception.receive`` and ``settle``.

        What is refused anyway is refused before a byte of the body is read.
        """
        await self.foresee(wish)
        info = await self.reception.receive(
            wish.path,
            body,
            size,
            max_size=wish.max_size,
            coding=coding,
            pieces=pieces,
            form=form,
            check=check,
            algorithm=algorithm,
        )
        return await self.settle(wish, info)

    async def foresee(self, wish: Wish) -> None:
        """Raise ObjectExistsError, TicketSpentError where *wish* cannot come true as things are."""
        if wish.nonce:
            await self.catalogue.foresee(self.name, wish)
        if not wish.overwrite and await self._shelf.look(wish.path) is not None:
            raise ObjectExistsError("there is an object at this path")

    async def settle(self, wish: Wish, info: UploadInfo) -> Entry:
        """Make the complete upload *info* what *wish* says: pending, or permanent at once.

        However this ends but well, the upload is deleted: at once, or by the sweep where nobody can
        tell whether the catalogue shows it.
        Raises ObjectExistsError, TicketError, CatalogueError, StoreError.
        """
        entry = wish.entry(info.id, info.offset)
        try:
            if wish.nonce:
                if time.time() >= wish.expires_at + SPENT_KEPT_S:
                    raise TicketExpiredError("the ticket ended long before the object had come")
                await self._await_verification(entry, wish)
            else:
                entry = await self._shelf.publish(entry, overwrite=wish.overwrite)
        except CatalogueError:
            raise  # a commit that failed may be in the log of SQLite all the same
        except FileloftError:
            await self.reception.store.remove(info.id)
            raise
        self.dirty.set()
        return entry

    async def finish(self, wish: Wish, info: UploadInfo) -> None:
        """Settle an upload in pieces; what only cannot be settled now is kept for another try."""
        try:
            await self._await_verification(wish.entry(info.id, info.offset), wish)
        except WireError:
            await self.reception.store.remove(info.id)
            self.catalogue.forget(self.name, info.id)
            raise
        self.dirty.set()

    async def _await_verification(self, entry: Entry, wish: Wish) -> None:
        # A large object may come when its ticket has ended: its app server needs a while, too.
        until = max(wish.expires_at, time.time() + _VERIFIED_WITHIN_S)
        await self.catalogue.await_verification(self.name, entry, replace(wish, expires_at=until))

    async def verify(self, path: str) -> bool:
        """Make the object that came by a ticket to *path* permanent; True once.

        Raises ObjectExistsError where its ticket replaces nothing and there is one by now, and
        StoreError where the bucket cannot take it; then it can be tried again.
        """
        pending = await self.catalogue.pending(self.name, path)
        if pending is None or pending.expires_at <= time.time():
            return False
        async with self.reception.locks.hold(UploadId(pending.entry.blob)):
            verified = await self._shelf.promote(pending)
        self.dirty.set()
        return verified

    async def look(self, path: str) -> Entry | None:
        """Return the object at *path*; None where there is none, or none that is verified."""
        return await self._shelf.look(path)

    async def read(self, entry: Entry, start: int, length: int) -> FileSlice | ByteStream:
        """Open bytes of an object for sending. Raises NoSuchObjectError, StoreError."""
        return await self._shelf.read(entry, start, length)

    async def delete(self, path: str) -> bool:
        """Delete what is at *path*, verified or not; False where there was nothing."""
        pending = await self.catalogue.pending(self.name, path)
        waited = pending is not None and await self.catalogue.settle(self.name, pending)
        removed = await self._shelf.remove(path)
        self.dirty.set()
        return removed or waited

    def entries(self, prefix: str = "", after: str = "") -> AsyncIterator[Entry]:
        """Go through objects whose path begins with *prefix* and comes after *after*, in order."""
        return self._shelf.entries(prefix, after)


class Storages:
    """All named storages, by name."""

    def __init__(self, storages: Mapping[str, NamedStorage]) -> None:
        self.by_name = storages

    def named(self, name: str) -> NamedStorage:
        """Return the storage of that name. Raises NoSuchStorageError."""
        try:
            return self.by_name[name]
        except KeyError:
            raise NoSuchStorageError("no such storage") from None
