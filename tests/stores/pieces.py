"""A file as the spool has it, whose pieces become parts; and an upload's way through a driver."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Self
from uuid import uuid4

from fileloft_fast.dataplane import digest_of
from fileloft_fast.stores.remote.objects import (
    ABSENT,
    Attributes,
    Condition,
    Limits,
    ObjectHead,
    Objects,
    Piece,
    Receipt,
)

if TYPE_CHECKING:
    from pathlib import Path

PLAIN: Final = Attributes()
RICH: Final = Attributes(
    content_type="image/png",
    disposition="attachment; filename*=UTF-8''a%20b.png",
    metadata={
        "fileloft-id": "0123456789abcdef",
        "filename": "a%20%C3%A9.png",
        "odd": '"quoted", 100%; k=v ~!@#$^&*()[]{}<>?/|\\\'`',
        "with-many-dashes-1": "=?utf-8?q?x?=",
        "x": "a b",
    },
)
"""Names and values that are easily lost on the way."""


class Source:
    """An open file with bytes that are the same in every run."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.content = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def fill(self, size: int, seed: str = "") -> bytes:
        """Give the file *size* other bytes; return them."""
        self.content = random.Random(f"{seed} {size}").randbytes(size)
        os.pwrite(self.descriptor, self.content, 0)
        os.truncate(self.descriptor, size)
        return self.content

    def piece(self, start: int, length: int) -> Piece:
        """Return a range of the file."""
        return Piece(
            self.descriptor, start, length, crc32c_of(self.content[start : start + length])
        )

    def cut(self, part_bytes: int) -> list[Piece]:
        """Return the whole file in pieces."""
        size = len(self.content)
        return [
            self.piece(start, min(part_bytes, size - start)) for start in range(0, size, part_bytes)
        ]


def crc32c_of(content: bytes) -> int:
    """Return the CRC-32C of *content*."""
    return int.from_bytes(digest_of("crc32c", content), "big")


def part_bytes_of(limits: Limits) -> int:
    """Return the smallest part that a store takes, yet not a tiny one."""
    smallest = max(limits.smallest_part, 4096)
    return -(-smallest // limits.granule) * limits.granule


def fresh_key(prefix: str = "") -> str:
    """Return a key that nobody else uses; they look like those of uploads."""
    return prefix + uuid4().hex


async def put_parts(
    objects: Objects, key: str, session: str, pieces: Sequence[Piece]
) -> list[Receipt]:
    """Put every piece in order, but the last where that one completes."""
    count = len(pieces) - objects.limits.last_completes
    return [
        await objects.put_part(key, session, number, piece.start, piece)
        for number, piece in enumerate(pieces[:count], 1)
    ]


async def complete(  # noqa: PLR0917
    objects: Objects,
    key: str,
    session: str,
    receipts: Sequence[Receipt],
    source: Source,
    attributes: Attributes = PLAIN,
    condition: Condition | None = ABSENT,
) -> ObjectHead:
    """Make the object, which is the whole of *source*."""
    stored = sum(receipt.size for receipt in receipts)
    size = len(source.content)
    return await objects.complete(
        key,
        session,
        receipts,
        size=size,
        crc32c=crc32c_of(source.content),
        attributes=attributes,
        condition=condition,
        last=source.piece(stored, size - stored) if objects.limits.last_completes else None,
    )


async def upload(
    objects: Objects,
    key: str,
    source: Source,
    attributes: Attributes = PLAIN,
) -> ObjectHead:
    """Store the whole of *source* in parts."""
    session = await objects.create(key, attributes)
    pieces = source.cut(part_bytes_of(objects.limits))
    receipts = await put_parts(objects, key, session, pieces)
    return await complete(objects, key, session, receipts, source, attributes)


async def read(objects: Objects, key: str, start: int, length: int) -> bytes:
    """Return a range of an object."""
    async with aclosing(objects.get(key, start, length)) as pieces:
        return b"".join([piece async for piece in pieces])
