"""Reading objects: ranges, taken up again where a connection broke, and always of one version."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from fileloft_fast.errors import (
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
    StoreError,
)
from fileloft_fast.stores.remote.answers import read_start
from fileloft_fast.stores.remote.gcs.client import Answer, Client, failure, is_missing

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.1

# Google would unpack what is stored gzipped, Range or not, for a client that does not take gzip.
_AS_STORED: Final = {"Accept-Encoding": "gzip"}


async def read_object(
    client: Client, path: str, start: int, length: int
) -> AsyncGenerator[bytes, None]:
    """Yield bytes of the object at *path*; gives up after a few tries that brought none.

    Raises ObjectNotFoundError, also where the object is replaced meanwhile.
    """
    reader = _Reader(client, path, start, start + length)
    failures = 0
    while not reader.done:
        before = reader.position
        try:
            async with aclosing(reader.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        except RemoteUnavailableError:
            failures = 1 if reader.position > before else failures + 1
            if failures == _TRIES:
                raise
            await asyncio.sleep(_FIRST_PAUSE_S * 2**failures * random.random())  # noqa: S311


async def read_whole(client: Client, path: str) -> tuple[bytes, str]:
    """Return a small object and its generation. Raises ObjectNotFoundError."""
    async with client.open("GET", f"{path}?alt=media", headers=_AS_STORED) as response:
        body = await read_start(response.content.read)
        if response.status != 200:
            raise reading_failure(Answer(response.status, response.headers, body))
        return body, response.headers.get("X-Goog-Generation", "")


def reading_failure(answer: Answer) -> StoreError:
    """Return what it means that an object cannot be read."""
    if is_missing(answer):
        return ObjectNotFoundError("no such object")
    return failure(answer, "reading")


class _Reader:
    """What is still to be read of a range."""

    def __init__(self, client: Client, path: str, position: int, end: int) -> None:
        self.position = position
        self._client = client
        self._path = path
        self._end = end
        self._version = ""

    @property
    def done(self) -> bool:
        return self.position == self._end

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what one answer holds of the rest."""
        path = f"{self._path}?alt=media{self._version}"
        headers = {**_AS_STORED, "Range": f"bytes={self.position}-{self._end - 1}"}
        async with self._client.open("GET", path, headers=headers) as response:
            if response.status != 206:
                body = await response.read()
                raise reading_failure(Answer(response.status, response.headers, body))
            self._verify(response.headers)
            async for piece in response.content.iter_any():
                self.position += len(piece)
                yield piece

    def _verify(self, headers: Mapping[str, str]) -> None:
        """See that these are the bytes that were asked for, and stay with their version."""
        told = headers.get("Content-Range", "")
        if not told.startswith(f"bytes {self.position}-{self._end - 1}/"):
            asked = f"bytes {self.position}-{self._end - 1}"
            raise RemoteRefusedError(f"{asked} asked, {told or 'no range'} answered")
        if "X-Goog-Generation" in headers:
            self._version = f"&generation={headers['X-Goog-Generation']}"
