"""Reading blobs: ranges of one version."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from fileloft_fast.errors import ConditionFailedError, ObjectNotFoundError
from fileloft_fast.stores.remote.answers import RangeReader

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

    from fileloft_fast.stores.remote.azure.wire import Wire


def read_blob(wire: Wire, blob: BlobClient, start: int, length: int) -> AsyncGenerator[bytes, None]:
    """Yield bytes of one version of a blob; gives up after a few tries that brought none."""
    return _Reader(wire, blob, start, length).pieces()


class _Reader(RangeReader):
    def __init__(self, wire: Wire, blob: BlobClient, start: int, length: int) -> None:
        super().__init__(blob.blob_name, start, length)
        self._wire = wire
        self._blob = blob
        self._version: dict[str, str] = {}

    async def answered(self) -> AsyncGenerator[bytes, None]:
        """See ``RangeReader``."""
        headers = {"Range": self.rest, **self._version}
        try:
            async with self._wire.request("GET", self._blob, headers, expected=206) as answer:
                self._version = {"If-Match": answer.headers["ETag"]}
                self.verify(answer.headers.get("Content-Range", ""))
                async for piece in answer.content.iter_any():
                    yield piece
        except ConditionFailedError as error:
            raise ObjectNotFoundError(f"{self.name} was replaced while it was read") from error
