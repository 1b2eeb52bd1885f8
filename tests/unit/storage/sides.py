"""Both clients under one face, so that one test body runs on either."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, TypeAlias, cast

import httpx2

from fileloft_fast.storage import AsyncStorage, Storage

Handler: TypeAlias = Callable[[httpx2.Request], httpx2.Response]

SIDES: Final = ("sync", "async")
KEY: Final = "k" * 32


class Driven:
    """An AsyncStorage that is asked as a Storage is asked, in an event loop of its own."""

    def __init__(self, storage: AsyncStorage) -> None:
        self._storage = storage
        self._loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._storage, name)
        return lambda *given, **named: self._await(method(*given, **named))

    def close(self) -> None:
        """Close the client and the loop."""
        self._loop.run_until_complete(self._storage.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _await(self, value: Any) -> Any:
        if inspect.isasyncgen(value):
            return self._iterate(value)
        if isinstance(value, AbstractAsyncContextManager):
            return self._enter(value)
        return self._loop.run_until_complete(value)

    def _iterate(self, values: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._loop.run_until_complete(anext(values))
            except StopAsyncIteration:
                return

    @contextmanager
    def _enter(self, value: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
        download = self._loop.run_until_complete(value.__aenter__())
        try:
            yield _Driven(download.object, self._iterate(aiter(download)))
        finally:
            self._loop.run_until_complete(value.__aexit__(None, None, None))


class _Driven:
    """An AsyncDownload that is read as a Download is read."""

    def __init__(self, found: object, pieces: Iterator[bytes]) -> None:
        self.object = found
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


@contextmanager
def open_side(side: str, url: str, key: str, **named: Any) -> Iterator[Storage]:
    """Lend a client of *side* for the server at *url*."""
    client: Any = (
        Storage(url, key, **named) if side == "sync" else Driven(AsyncStorage(url, key, **named))
    )
    try:
        yield cast("Storage", client)
    finally:
        client.close()


@contextmanager
def open_double(side: str, handler: Handler, **named: Any) -> Iterator[Storage]:
    """Lend a client of *side* whose every request *handler* answers."""
    transport = httpx2.MockTransport(handler)
    client: Any
    if side == "sync":
        with httpx2.Client(transport=transport) as http:
            yield Storage("https://up.example", KEY, client=http, **named)
        return
    client = Driven(
        AsyncStorage(
            "https://up.example", KEY, client=httpx2.AsyncClient(transport=transport), **named
        )
    )
    try:
        yield cast("Storage", client)
    finally:
        client.close()
