"""Bodies of a store's answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fileloft_fast.stores.remote.objects import MOST_FETCHED


async def read_start(read: Callable[[int], Awaitable[bytes]], most: int = MOST_FETCHED) -> bytes:
    """Return what *read* returns piece by piece, up to *most* bytes of it in all."""
    pieces: list[bytes] = []
    while most and (piece := await read(most)):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)
