"""A range of an open file that is to be sent, with the checksum that the store compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.flush.unbroken import unbroken
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.remote.objects import Piece

if TYPE_CHECKING:
    from fileloft_fast.dataplane import Engine


async def read_piece(engine: Engine, descriptor: int, start: int, length: int) -> Piece:
    """Return bytes ``[start, start + length)`` of a file as a piece. Raises StoreError."""
    if not length:
        return Piece(descriptor, start, 0, 0)
    # To its end: the descriptor is closed after it.
    try:
        digest = await unbroken(engine.checksum(descriptor, start, length, "crc32c"))
    except OSError as error:
        raise store_error(error) from error
    return Piece(descriptor, start, length, int.from_bytes(digest, "big"))
