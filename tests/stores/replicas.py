"""Replicas that share their locks, by way of Redis or of any object store; each may be cut off."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, cast

import uvloop

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.model import UploadId
from fileloft_fast.uploads.leases import Lease, Leases, ObjectLeases, load_redis
from tests.proxy import Proxy

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Attributes, Condition, ObjectHead, Objects
    from tests.stores.backend import Backend
    from tests.stores.redis_server import RedisServer

LEASE_TTL_S: Final = 3.0
"""A machine may stand still for a second between two renewals."""

_PATIENCE_S: Final = 60.0


@dataclass
class Watch:
    """A lease, and what its holder has been told."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    lease: Lease = field(init=False)


@dataclass(frozen=True)
class Replica:
    """One process's locks; ``cut_off`` takes the service away from it."""

    leases: Leases
    cut_off: Callable[[], None]

    async def acquire(self, upload: UploadId, timeout_s: float = 20.0) -> Watch:
        """Hold *upload*."""
        watch = Watch()
        watch.lease = await self.leases.acquire(
            upload, timeout_s=timeout_s, on_ask=watch.asked.set, on_lost=watch.lost.set
        )
        return watch


class Town(Protocol):
    """What replicas share. *ttl_s* is that of their leases."""

    ttl_s: float
    settles_s: float
    """A hand-over takes less."""

    def open(self) -> AbstractAsyncContextManager[Replica]:
        """Start a replica for as long as the context lasts."""


class RedisTown:
    """Replicas around a Redis, each behind a proxy of its own."""

    settles_s = 1.5  # less than a lease lasts; how quick it is, is told by a median elsewhere

    def __init__(self, server: RedisServer, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._server = server

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Replica]:
        with Proxy(("127.0.0.1", self._server.port)) as proxy:

            def cut_off() -> None:
                proxy.target = ("127.0.0.1", 1)
                proxy.reset_all()

            leases = load_redis(f"redis://127.0.0.1:{proxy.address[1]}", self.ttl_s)
            await leases.start()
            try:
                yield Replica(leases, cut_off)
            finally:
                await leases.close()


class ObjectTown:
    """Replicas around an object store, each with a driver of its own."""

    settles_s = 2.5

    def __init__(self, backend: Backend, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._backend = backend

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Replica]:
        async with self._backend.connect() as objects:
            link = Link(objects)
            leases = ObjectLeases(cast("Objects", link), "some/", self.ttl_s)
            await leases.start()
            try:
                yield Replica(leases, link.cut)
            finally:
                await leases.close()


class Link:
    """The way to an object store: what leases need of it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._is_cut = False

    def cut(self) -> None:
        """Let nothing through any more."""
        self._is_cut = True

    async def fetch(self, key: str) -> tuple[bytes, str] | None:
        self._check()
        return await self._objects.fetch(key)

    async def put(
        self, key: str, content: bytes, attributes: Attributes, condition: Condition | None
    ) -> ObjectHead:
        self._check()
        assert condition is not None, "leases are written with a condition alone"
        return await self._objects.put(key, content, attributes, condition)

    def _check(self) -> None:
        if self._is_cut:
            raise RemoteUnavailableError("cut off")


def play(town: Town, count: int, scene: Callable[[list[Replica]], Awaitable[None]]) -> None:
    """Run *scene* with *count* replicas, on the loop that the server runs on."""

    async def played() -> None:
        async with asyncio.timeout(_PATIENCE_S), AsyncExitStack() as stack:
            await scene([await stack.enter_async_context(town.open()) for _ in range(count)])

    uvloop.run(played())


async def until(probe: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until *probe* returns something true; TimeoutError where that takes too long."""
    async with asyncio.timeout(within_s):
        while True:
            if probe():
                return
            await asyncio.sleep(0.002)


def fresh_upload() -> UploadId:
    """Return an id that no other test has."""
    return UploadId(secrets.token_hex(16))
