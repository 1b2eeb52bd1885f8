"""Reading blobs: ranges that are taken up again where a connection broke."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
)

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

    from fileloft_fast.stores.remote.azure.wire import Wire

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.1


async def read_blob(
    wire: Wire, blob: BlobClient, start: int, length: int
) -> AsyncGenerator[bytes, None]:
    """Yield bytes of one version of a blob; gives up after a few tries that brought none."""
    reader = _Reader(wire, blob, start, start + length)
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


class _Reader:
    """What is still to be read of a range."""

    def __init__(self, wire: Wire, blob: BlobClient, position: int, end: int) -> None:
        self.position = position
        self._wire = wire
        self._blob = blob
        self._end = end
        self._version: dict[str, str] = {}

    @property
    def done(self) -> bool:
        return self.position == self._end

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what one answer holds of the rest."""
        wanted = f"bytes={self.position}-{self._end - 1}"
        headers = {"Range": wanted, **self._version}
        try:
            async with self._wire.request("GET", self._blob, headers, expected=206) as answer:
                self._version = {"If-Match": answer.headers["ETag"]}
                self._verify(answer.headers.get("Content-Range", ""))
                async for piece in answer.content.iter_any():
                    self.position += len(piece)
                    yield piece
        except ConditionFailedError as error:
            name = self._blob.blob_name
            raise ObjectNotFoundError(f"{name} was replaced while it was read") from error

    def _verify(self, told: str) -> None:
        """See that these are the bytes that were asked for: the blob may be shorter."""
        if not told.startswith(f"bytes {self.position}-{self._end - 1}/"):
            raise RemoteRefusedError(
                f"{self._blob.blob_name}: bytes {self.position}-{self._end - 1} asked, "
                f"{told or 'no range'} answered"
            )
