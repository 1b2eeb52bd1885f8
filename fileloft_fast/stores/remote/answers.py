"""Bodies of a store's answers: a range, taken up again where a connection broke; or its start."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

from fileloft_fast.errors import RemoteRefusedError, RemoteUnavailableError
from fileloft_fast.stores.remote.objects import MOST_FETCHED

_TRIES: Final = 5
_FIRST_PAUSE_S: Final = 0.1


class RangeReader(ABC):
    """What is still to be read of the bytes ``[start, start + length)`` of the object *name*."""

    def __init__(self, name: str, start: int, length: int) -> None:
        self.name = name
        self.position = start
        self.end = start + length

    @property
    def rest(self) -> str:
        """What is left, as ``Range`` asks for it."""
        return f"bytes={self.position}-{self.end - 1}"

    @abstractmethod
    def answered(self) -> AsyncGenerator[bytes, None]:
        """Ask for the rest of the same version and yield what one answer holds of it.

        Raises RemoteUnavailableError where the answer breaks off, ObjectNotFoundError where the
        version is gone.
        """

    def verify(self, told: str) -> None:
        """See that these are the bytes that were asked for: some stores know no ranges.

        *told* is ``Content-Range``. Raises RemoteRefusedError.
        """
        if not told.startswith(f"bytes {self.position}-{self.end - 1}/"):
            raise RemoteRefusedError(
                f"{self.name}: {self.rest} asked, {told or 'no range'} answered"
            )

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield everything; gives up after a few tries in a row that brought nothing."""
        failures = 0
        while self.position < self.end:
            before = self.position
            try:
                async with aclosing(self.answered()) as pieces:
                    async for piece in pieces:
                        self.position += len(piece)
                        yield piece
            except RemoteUnavailableError:
                failures = 1 if self.position > before else failures + 1
                if failures == _TRIES:
                    raise
                await asyncio.sleep(_FIRST_PAUSE_S * 2**failures * random.random())  # noqa: S311


async def read_start(read: Callable[[int], Awaitable[bytes]], most: int = MOST_FETCHED) -> bytes:
    """Return what *read* returns piece by piece, up to *most* bytes of it in all."""
    pieces: list[bytes] = []
    while most and (piece := await read(most)):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)
