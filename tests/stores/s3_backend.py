"""S3, as SeaweedFS speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
import uvloop

from fileloft_fast.stores.remote.s3 import S3Objects
from tests.stores.backend import Backend, Opener
from tests.stores.seaweedfs import KEYS, REGION, SeaweedFS

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Objects


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[S3Objects]:
    """Make a driver with the keys that SeaweedFS knows; *options* are other than usual."""
    usual: dict[str, Any] = {"bucket": "uploads", "region": REGION, "path_style": True}
    objects = S3Objects(endpoint=url, **(usual | options))
    with pytest.MonkeyPatch.context() as environment:
        for name, value in KEYS.items():
            environment.setenv(name, value)
        await objects.start()
    try:
        yield objects
    finally:
        await objects.close()


def play(url: str, scene: Callable[[S3Objects], Awaitable[None]], **options: Any) -> None:
    """Run *scene* with a driver whose store is at *url*."""

    async def played() -> None:
        async with connected(url, **options) as objects:
            await scene(objects)

    uvloop.run(played())


@contextmanager
def _open(directory: Path, *, checksum: bool) -> Iterator[Backend]:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Objects]:
        async with connected(weed.url, checksum=checksum) as objects:
            yield objects

    with SeaweedFS(directory) as weed:
        yield Backend(connect=connect, lists_objects=True, verifies_parts=checksum)


BACKENDS: Final[Mapping[str, Opener]] = {
    "s3": partial(_open, checksum=True),
    "s3-unchecked": partial(_open, checksum=False),
}
