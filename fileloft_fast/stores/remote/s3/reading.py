"""Reading objects: ranges that are taken up again where a connection broke."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import Any, Final, Protocol

from fileloft_fast.errors import (
    ConditionFailedError,
    ObjectNotFoundError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from fileloft_fast.stores.remote.answers import read_start
from fileloft_fast.stores.remote.s3.failures import translated

_READ_BYTES: Final = 256 * 1024
_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.1


class Caller(Protocol):
    """Whoever makes requests of the bucket that is called ``name``."""

    name: str

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        """Make one request and return its answer, or raise what it means."""


async def read_object(
    bucket: Caller, key: str, start: int, length: int
) -> AsyncGenerator[bytes, None]:
    """Yield bytes of one version of an object; gives up after a few tries that brought none."""
    reader = _Reader(bucket, key, start, start + length)
    failures = 0
    if not length:
        answer = await bucket.call("get_object", Key=key)  # no range is empty; but is it there?
        answer["Body"].close()
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


async def read_all(bucket: Caller, key: str) -> tuple[bytes, str]:
    """Return a small object and its tag. Raises ObjectNotFoundError."""
    answer = await bucket.call("get_object", Key=key)
    with translated("get_object"), closing(answer["Body"]) as body:
        return await read_start(body.read), str(answer["ETag"])


class _Reader:
    """What is still to be read of a range."""

    def __init__(self, bucket: Caller, key: str, position: int, end: int) -> None:
        self.position = position
        self._bucket = bucket
        self._key = key
        self._end = end
        self._version: dict[str, str] = {}

    @property
    def done(self) -> bool:
        return self.position == self._end

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what one answer holds of the rest; RemoteUnavailableError where it ends early."""
        answer = await self._ask()
        self._version = {"IfMatch": str(answer["ETag"])}
        with closing(answer["Body"]) as body:
            self._verify(answer)
            while not self.done:
                with translated("get_object"):
                    piece = await body.read(min(_READ_BYTES, self._end - self.position))
                if not piece:
                    raise RemoteUnavailableError(f"get_object: {self._key} ended early")
                self.position += len(piece)
                yield piece

    async def _ask(self) -> dict[str, Any]:
        rest = f"bytes={self.position}-{self._end - 1}"
        try:
            return await self._bucket.call("get_object", Key=self._key, Range=rest, **self._version)
        except ConditionFailedError as error:
            raise ObjectNotFoundError(f"{self._key} was replaced while it was read") from error

    def _verify(self, answer: dict[str, Any]) -> None:
        """See that these are the bytes that were asked for: some stores know no ranges."""
        told = str(answer.get("ContentRange", ""))
        if not told.startswith(f"bytes {self.position}-{self._end - 1}/"):
            raise RemoteRefusedError(
                f"get_object: {self._key}: bytes {self.position}-{self._end - 1} asked, "
                f"{told or 'no range'} answered"
            )
