"""Google Cloud Storage as tests of its driver visit it: a fake, a driver, and what fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import uvloop

from fileloft_fast.stores.remote.gcs import GcsObjects
from tests.stores.pieces import PLAIN, Source, crc32c_of, fresh_key

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import ObjectHead, Objects, Pace, Piece

KIB: Final = 1024
GRANULE: Final = 256 * KIB
PART: Final = 4 * GRANULE
T = TypeVar("T")


@asynccontextmanager
async def connected(
    url: str, bucket: str = "tusbucket", pace: Pace | None = None
) -> AsyncIterator[GcsObjects]:
    """Make a driver that needs no credentials."""
    objects = GcsObjects(bucket=bucket, endpoint=url, anonymous=True, pace=pace)
    await objects.start()
    try:
        yield objects
    finally:
        await objects.close()


def play(url: str, scene: Callable[[Objects], Awaitable[T]]) -> T:
    """Run *scene* with a driver of its own, on the loop that the server runs on."""

    async def played() -> T:
        async with connected(url) as objects:
            return await scene(objects)

    return uvloop.run(played())


async def finish(objects: Objects, key: str, session: str, source: Source) -> ObjectHead:
    """Complete a session that has all whole parts of *source* with what is left."""
    size = len(source.content)
    left = size % PART
    return await objects.complete(
        key,
        session,
        [],
        size=size,
        crc32c=crc32c_of(source.content),
        attributes=PLAIN,
        last=source.piece(size - left, left) if left else None,
    )


async def begun(objects: Objects, source: Source) -> tuple[str, str, Piece]:
    """Begin a session; return key, session and the first part."""
    key = fresh_key()
    return key, await objects.create(key, PLAIN), source.piece(0, PART)
