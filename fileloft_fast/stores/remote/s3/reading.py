"""Reading objects: ranges of one version, and small ones whole."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import Any, Final, Protocol

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteUnavailableError,
)
from fileloft_fast.stores.remote.answers import RangeReader, read_start
from fileloft_fast.stores.remote.s3.failures import translated

_READ_BYTES: Final = 256 * 1024


class Caller(Protocol):
    """Whoever makes requests of the bucket that is called ``name``."""

    name: str

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Make one request and return its answer, or raise what it means."""


async def read_object(
    bucket: Caller, key: str, start: int, length: int, tag: str
) -> AsyncGenerator[bytes, None]:
    """Yield bytes of one version of an object; gives up after a few tries that brought none.

    *tag* names the version, "" the one that is there.
    """
    reader = _Reader(bucket, key, start, length, tag)
    if not length:
        await reader.verify_there()
    async with aclosing(reader.pieces()) as pieces:
        async for piece in pieces:
            yield piece


async def read_all(bucket: Caller, key: str) -> tuple[bytes, str]:
    """Return a small object and its tag. Raises ObjectNotFoundError."""
    answer = await bucket.call("get_object", Key=key)
    with translated("get_object"), closing(answer["Body"]) as body:
        return await read_start(body.read), str(answer["ETag"])


class _Reader(RangeReader):
    def __init__(self, bucket: Caller, key: str, start: int, length: int, tag: str) -> None:
        super().__init__(key, start, length)
        self._bucket = bucket
        self._version: dict[str, str] = {"IfMatch": tag} if tag else {}

    async def verify_there(self) -> None:
        """See that the version is there, since no range is empty. Raises ObjectNotFoundError."""
        answer = await self._ask()
        answer["Body"].close()

    async def answered(self) -> AsyncGenerator[bytes, None]:
        """See ``RangeReader``."""
        answer = await self._ask(Range=self.rest)
        self._version = {"IfMatch": str(answer["ETag"])}
        with closing(answer["Body"]) as body:
            self.verify(str(answer.get("ContentRange", "")))
            while self.position < self.end:
                with translated("get_object"):
                    piece = await body.read(min(_READ_BYTES, self.end - self.position))
                if not piece:
                    raise RemoteUnavailableError(f"get_object: {self.name} ended early")
                yield piece

    async def _ask(self, **asked: str) -> dict[str, Any]:
        try:
            return await self._bucket.call("get_object", Key=self.name, **asked, **self._version)
        except ConditionFailedError as error:
            raise ObjectNotFoundError(f"{self.name} was replaced while it was read") from error
