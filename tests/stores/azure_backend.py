"""Azure, as Azurite speaks it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

import uvloop

from fileloft_fast.stores.remote.azure import AzureObjects
from tests.stores.azurite import Azurite, connection_string
from tests.stores.backend import Backend, Opener

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Objects, Pace


@asynccontextmanager
async def connected(
    how: str, container: str, *, pace: Pace | None = None
) -> AsyncIterator[AzureObjects]:
    """Make a driver that a connection string lets in."""
    objects = AzureObjects(container=container, connection_string=how, pace=pace)
    await objects.start()
    try:
        yield objects
    finally:
        await objects.close()


def play(azurite: Azurite, scene: Callable[[AzureObjects], Awaitable[None]]) -> None:
    """Run *scene* with a driver of its own."""
    play_at(azurite.url, azurite.container, scene)


def play_at(url: str, container: str, scene: Callable[[AzureObjects], Awaitable[None]]) -> None:
    """Run *scene* with a driver that believes to find the account at *url*."""

    async def played() -> None:
        async with connected(connection_string(url), container) as objects:
            await scene(objects)

    uvloop.run(played())


@contextmanager
def _open(directory: Path) -> Iterator[Backend]:
    @asynccontextmanager
    async def connect() -> AsyncIterator[Objects]:
        async with connected(azurite.connection_string, azurite.container) as objects:
            yield objects

    with Azurite(directory) as azurite:
        yield Backend(
            connect=connect,
            lists_sessions=False,  # blocks have no session, and nobody can throw them away
            ends_sessions=False,
            verifies_parts=False,  # it knows no CRC-32C
        )


BACKENDS: Final[Mapping[str, Opener]] = {"azure": _open}
