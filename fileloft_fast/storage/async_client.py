"""The client that awaits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from fileloft_fast.storage.calls import Call, Calls
from fileloft_fast.storage.failures import StorageError
from fileloft_fast.storage.load import load_wire
from fileloft_fast.storage.patience import Patience

if TYPE_CHECKING:
    import httpx2

    from fileloft_fast.storage.bodies import AsyncData
    from fileloft_fast.storage.values import StoredObject
    from fileloft_fast.storage.wire import AsyncIncoming, AsyncWire
    from fileloft_fast.storages.description import Kind, Method, UploadDescription

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class AsyncDownload:
    """An object that is being read: what it is, and its bytes, or those of a range, once."""

    object: StoredObject
    pieces: AsyncGenerator[bytes, None]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces


class AsyncStorage:
    """One storage of a server, for an app server that runs in an event loop.

    All is as with ``Storage``, but awaited. For one event loop, and any number of its tasks; close
    it, or use it in an ``async with``.
    """

    def __init__(  # noqa: PLR0913 - what is asked for by name, with a default each
        self,
        url: str,
        key: str,
        storage: str = "public",
        *,
        timeout_s: float = 60.0,
        retries: int = 2,
        longest_pause_s: float = 5.0,
        client: httpx2.AsyncClient | None = None,
    ) -> None:
        self._calls = Calls(url, key, storage)
        self._patience = Patience(retries, longest_pause_s)
        self._wire: AsyncWire = load_wire().AsyncWire(timeout_s, client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def create_ticket(  # noqa: PLR0913 - the limits of a ticket, each by its name
        self,
        path: str,
        *,
        max_size: int | None = None,
        expires_in: int | None = None,
        overwrite: bool = True,
        content_type: str | None = None,
        kind: Kind = "binary",
        method: Method = "PUT",
        file_name: str | None = None,
    ) -> UploadDescription:
        """Return what a client needs to bring one file; see ``Storage.create_ticket``."""
        return await self._do(
            self._calls.create_ticket(
                path,
                max_size=max_size,
                expires_in=expires_in,
                overwrite=overwrite,
                content_type=content_type,
                kind=kind,
                method=method,
                file_name=file_name,
            )
        )

    async def verify(self, path: str) -> bool:
        """Keep what a client brought, and show it, True once; see ``Storage.verify``."""
        return await self._do(self._calls.verify(path))

    async def exists(self, path: str) -> bool:
        """Return whether there is an object at *path*, one that was verified."""
        return await self._do(self._calls.exists(path))

    async def stat(self, path: str) -> StoredObject:
        """Return what the object at *path* is. Raises NotFoundError."""
        return await self._do(self._calls.stat(path))

    async def retrieve(self, path: str) -> bytes:
        """Return the object at *path*, all of it in memory. Raises NotFoundError."""
        return await self._do(self._calls.retrieve(path))

    @asynccontextmanager
    async def open(
        self, path: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[AsyncDownload]:
        """Lend the object at *path* for reading; see ``Storage.open``."""
        incoming, found = await self._open(self._calls.read(path, start, length))
        try:
            async with aclosing(incoming.pieces()) as pieces:
                yield AsyncDownload(found, pieces)
        finally:
            await incoming.close()

    async def stream(
        self, path: str, *, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Go through the bytes of the object at *path*; see ``Storage.stream``.

        Whoever leaves before the end closes it, with ``contextlib.aclosing``.
        """
        async with self.open(path, start=start, length=length) as download:
            async for piece in download:
                yield piece

    async def store(
        self, path: str, data: AsyncData, *, content_type: str | None = None, overwrite: bool = True
    ) -> StoredObject:
        """Make *data* the object at *path*; see ``Storage.store``.

        A file is read in a thread; pieces may come asynchronously.
        """
        return await self._do(
            self._calls.store(path, data, content_type=content_type, overwrite=overwrite)
        )

    async def delete(self, path: str) -> bool:
        """Remove the object at *path*, also one that waits to be verified; False where none is."""
        return await self._do(self._calls.delete(path))

    async def list(
        self, prefix: str = "", *, page_size: int | None = None
    ) -> AsyncGenerator[StoredObject, None]:
        """Go through the objects whose path begins with *prefix*; see ``Storage.list``."""
        after: str | None = None
        while True:
            page = await self._do(self._calls.page(prefix, after, page_size))
            for found in page.objects:
                yield found
            if page.next is None:
                return
            after = page.next

    async def public_url(self, path: str) -> str | None:
        """Return where everybody can get the object at *path*; see ``Storage.public_url``."""
        return await self._do(self._calls.public_url(path))

    async def signed_url(self, path: str, *, expires_in: int = 3600) -> str | None:
        """Return a URL for whoever has it, for a while; see ``Storage.signed_url``."""
        return await self._do(self._calls.signed_url(path, expires_in))

    async def _do(self, call: Call[Value]) -> Value:
        return await self._patiently(call, lambda: self._try(call))

    async def _open(self, call: Call[Value]) -> tuple[AsyncIncoming, Value]:
        return await self._patiently(call, lambda: self._try_to_open(call))

    async def _try(self, call: Call[Value]) -> Value:
        return call.read(await self._wire.ask(call))

    async def _try_to_open(self, call: Call[Value]) -> tuple[AsyncIncoming, Value]:
        incoming = await self._wire.open(call)
        try:
            head = incoming.head
            return incoming, call.read(head if head.status < 400 else await incoming.whole())
        except StorageError:
            await incoming.close()
            raise

    async def _patiently(self, call: Call[object], work: Callable[[], Awaitable[Value]]) -> Value:
        tries = 0
        while True:
            tries += 1
            try:
                return await work()
            except StorageError as error:
                pause_s = self._patience.pause_s(error, tries, call)
            await asyncio.sleep(pause_s)
