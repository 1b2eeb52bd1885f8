"""What speaks HTTP: the only module of the client that knows httpx2, loaded by the first client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Final

import httpx2

from fileloft_fast.storage.bodies import Body, FileBody, Pieces, length_of
from fileloft_fast.storage.calls import Call, Reply
from fileloft_fast.storage.failures import TimedOutError, UnavailableError

_FIELDS: Final = {
    "User-Agent": f"fileloft-fast/{version('fileloft-fast')}",
    "Accept-Encoding": "identity",  # an object is what it is, and JSON is short
}
_LONGEST_CONNECT_S: Final = 10.0

# Nothing of the request can have arrived.
_NOT_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Wire:
    """Connections to a server, kept between calls. For any number of threads."""

    def __init__(self, timeout_s: float, client: httpx2.Client | None) -> None:
        self._client = client or httpx2.Client(timeout=_timeout(timeout_s))
        self._owned = client is None

    def ask(self, call: Call[object]) -> Reply:
        """Send *call* and return the answer. Raises UnavailableError where there is none."""
        return self.open(call).whole()

    def open(self, call: Call[object]) -> Incoming:
        """Send *call* and return the answer, which the caller closes, with its body to come."""
        with _failures():
            request = self._client.build_request(
                call.method, call.url, headers=_fields(call), content=_content(call.body)
            )
            return Incoming(self._client.send(request, stream=True))

    def close(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        if self._owned:
            self._client.close()


class Incoming:
    """An answer whose body comes piece by piece."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer
        self.head = Reply(answer.status_code, answer.headers, b"")

    def pieces(self) -> Iterator[bytes]:
        """Go through the body. Raises UnavailableError where the connection breaks."""
        with _failures():
            yield from self._answer.iter_raw()

    def whole(self) -> Reply:
        """Return the answer with all of its body, and close it."""
        try:
            return replace(self.head, body=b"".join(self.pieces()))
        finally:
            self.close()

    def close(self) -> None:
        """Give the connection back, or close it where the body has not been read to its end."""
        self._answer.close()


class AsyncWire:
    """Connections to a server, kept between calls. For one event loop."""

    def __init__(self, timeout_s: float, client: httpx2.AsyncClient | None) -> None:
        self._client = client or httpx2.AsyncClient(timeout=_timeout(timeout_s))
        self._owned = client is None

    async def ask(self, call: Call[object]) -> Reply:
        """Send *call* and return the answer. Raises UnavailableError where there is none."""
        return await (await self.open(call)).whole()

    async def open(self, call: Call[object]) -> AsyncIncoming:
        """Send *call* and return the answer, which the caller closes, with its body to come."""
        with _failures():
            request = self._client.build_request(
                call.method, call.url, headers=_fields(call), content=_async_content(call.body)
            )
            return AsyncIncoming(await self._client.send(request, stream=True))

    async def close(self) -> None:
        """Close the connections, but for those of a client that was handed in."""
        if self._owned:
            await self._client.aclose()


class AsyncIncoming:
    """An answer whose body comes piece by piece."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer
        self.head = Reply(answer.status_code, answer.headers, b"")

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Go through the body. Raises UnavailableError where the connection breaks."""
        with _failures():
            async with aclosing(self._answer.aiter_raw()) as raw:
                async for piece in raw:
                    yield piece

    async def whole(self) -> Reply:
        """Return the answer with all of its body, and close it."""
        try:
            return replace(self.head, body=b"".join([piece async for piece in self.pieces()]))
        finally:
            await self.close()

    async def close(self) -> None:
        """Give the connection back, or close it where the body has not been read to its end."""
        await self._answer.aclose()


@contextmanager
def _failures() -> Iterator[None]:
    """Raise what httpx2 raises as what it means to the caller."""
    try:
        yield
    except _NOT_SENT as error:
        raise UnavailableError(f"the server cannot be reached: {error}") from error
    except httpx2.TimeoutException as error:
        raise TimedOutError("the server did not answer in time", perhaps_done=True) from error
    except httpx2.TransportError as error:
        raise UnavailableError(f"the connection broke: {error}", perhaps_done=True) from error


def _timeout(timeout_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, _LONGEST_CONNECT_S))


def _fields(call: Call[object]) -> dict[str, str]:
    length = length_of(call.body)
    known = {} if length is None else {"Content-Length": str(length)}
    return {**_FIELDS, **call.headers, **(known if call.body else {})}


def _content(body: Body) -> bytes | Iterable[bytes]:
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileBody):
        return _read(body)
    if isinstance(body.source, AsyncIterable):
        raise TypeError("pieces that come asynchronously are for an AsyncStorage")
    return body.source


def _async_content(body: Body) -> bytes | AsyncIterable[bytes]:
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileBody):
        return _read_in_threads(body)
    return body.source if isinstance(body.source, AsyncIterable) else _each(body)


def _read(body: FileBody) -> Iterator[bytes]:
    body.rewind()
    while piece := body.read_piece():
        yield piece


async def _read_in_threads(body: FileBody) -> AsyncIterator[bytes]:
    await asyncio.to_thread(body.rewind)
    while piece := await asyncio.to_thread(body.read_piece):
        yield piece


async def _each(body: Pieces) -> AsyncIterator[bytes]:
    assert isinstance(body.source, Iterable)
    for piece in body.source:
        yield piece
