"""Reading objects: ranges of one version, and small ones whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from fileloft_fast.errors import ObjectNotFoundError, StoreError
from fileloft_fast.stores.remote.answers import RangeReader, read_start
from fileloft_fast.stores.remote.gcs.client import Answer, Client, failure, is_missing

# Google would unpack what is stored gzipped, Range or not, for a client that does not take gzip.
_AS_STORED: Final = {"Accept-Encoding": "gzip"}


def read_object(client: Client, path: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
    """Yield bytes of the object at *path*; gives up after a few tries that brought none.

    Raises ObjectNotFoundError, also where the object is replaced meanwhile.
    """
    return _Reader(client, path, start, length).pieces()


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


class _Reader(RangeReader):
    def __init__(self, client: Client, path: str, start: int, length: int) -> None:
        super().__init__(path, start, length)
        self._client = client
        self._version = ""

    async def answered(self) -> AsyncGenerator[bytes, None]:
        """See ``RangeReader``."""
        path = f"{self.name}?alt=media{self._version}"
        headers = {**_AS_STORED, "Range": self.rest}
        async with self._client.open("GET", path, headers=headers) as response:
            if response.status != 206:
                body = await response.read()
                raise reading_failure(Answer(response.status, response.headers, body))
            self.verify(response.headers.get("Content-Range", ""))
            if "X-Goog-Generation" in response.headers:
                self._version = f"&generation={response.headers['X-Goog-Generation']}"
            async for piece in response.content.iter_any():
                yield piece
