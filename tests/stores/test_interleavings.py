"""Two replicas without a lock between them, and a network that does what it likes.

Whatever comes of single requests: what was acknowledged stays, and the object is what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fileloft_fast.errors import (
    NotStoredError,
    OffsetConflictError,
    RemoteUnavailableError,
    UploadLockedError,
)
from tests.stores.replica import ID, KEY, KINDS, PART, Replica, bucket_of, hurry
from tests.stores.scheduled import Fate, Schedule, ScheduledObjects
from tests.stores.spooled import digests_of

if TYPE_CHECKING:
    from tests.stores.memory import Bucket

Turn: TypeAlias = tuple[int, int, int]
_TURNS: Final = st.tuples(st.integers(0, 20), st.integers(0, 5), st.integers(0, 59))
_FATES: Final = [Fate.SERVED] * 7 + [Fate.REFUSED, Fate.LOST, Fate.DELAYED]
_SIZES: Final = (1, 100, 1500, PART, 2 * PART + 1, 10 * PART)
_EXPECTED: Final = (
    NotStoredError,
    OffsetConflictError,
    RemoteUnavailableError,
    UploadLockedError,
    asyncio.CancelledError,
)


class World:
    """The bucket, its replicas, and what clients were told."""

    def __init__(
        self, bucket: Bucket, root: Path, data: bytes, hashes: tuple[str, ...] = ()
    ) -> None:
        self.bucket = bucket
        self.hashes = hashes
        self.data = data
        self.schedule = Schedule()
        self.told = 0
        self._root = root
        self._spools = 0
        self.replicas = [self._new_replica(), self._new_replica()]
        self.requests: list[asyncio.Task[None] | None] = [None, None]

    def _new_replica(self) -> Replica:
        self._spools += 1
        return Replica(
            self.bucket,
            self._root / f"{self._spools}",
            objects=ScheduledObjects(self.bucket, self.schedule),
            note_s=0.0 if self._spools % 2 else 60.0,
        )

    def begin(self, index: int, size: int, manner: int) -> None:
        """Let a client that knows the offset send *size* bytes to a replica."""
        self.requests[index] = asyncio.create_task(
            self._request(self.replicas[index], size, manner)
        )

    async def _request(self, replica: Replica, size: int, manner: int = 0) -> None:
        before = self.told
        info = await replica.head(ID)
        offset = int(info.offset)
        assert offset >= before, "the offset went back"
        self.told = max(self.told, offset)
        if info.complete:
            return
        acknowledged = await replica.patch(
            ID,
            offset,
            self.data[offset : offset + size],
            length=len(self.data) if info.length is None and manner % 4 == 0 else None,
            pieces=3,
            checked=manner % 3 == 1,
            cut=manner % 5 == 1,
        )
        self.told = max(self.told, acknowledged)

    async def kill(self, index: int) -> None:
        """Kill a replica and begin another with an empty spool; its requests may yet arrive."""
        replica, request = self.replicas[index], self.requests[index]
        assert isinstance(replica.objects, ScheduledObjects)
        replica.objects.die()
        replica.flusher.patience_s = 0.0
        if request is not None:
            request.cancel()
        await self.end(index)
        await replica.close()
        self.replicas[index] = self._new_replica()

    async def end(self, index: int) -> None:
        """Wait for a request, which may fail, but not as if the upload were not there."""
        request, self.requests[index] = self.requests[index], None
        if request is not None:
            await asyncio.wait([request])
            error = asyncio.CancelledError() if request.cancelled() else request.exception()
            if error is not None and not isinstance(error, _EXPECTED):
                raise error

    async def until_something_waits(self) -> None:
        """Wait until there is something to decide, or nobody is at work."""
        while True:
            for index, request in enumerate(self.requests):
                if request is not None and request.done():
                    await self.end(index)
            at_work = [request for request in self.requests if request is not None]
            self.schedule.changed.clear()
            if self.schedule.waiting or not at_work:
                return
            changed = asyncio.ensure_future(self.schedule.changed.wait())
            await asyncio.wait([changed, *at_work], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    async def finish(self) -> None:
        """Let everything that is under way arrive, then bring the upload to its end."""
        self.schedule.free_all()
        for index in range(2):
            await self.end(index)
        tries = 0
        while not (await self.replicas[0].head(ID)).complete:
            tries += 1
            assert tries < 20, "a client that goes on gets nowhere"
            with contextlib.suppress(UploadLockedError):  # a dead replica had finished it
                await self._request(self.replicas[0], 2 * PART)
        for replica in self.replicas:
            info = await replica.head(ID)
            assert info.complete
            # None where a dead replica had finished it, and could not say so any more.
            assert info.digests in {(), digests_of(self.data, self.hashes)}

    async def close(self) -> None:
        """Stop the replicas, however the story has ended."""
        self.schedule.free_all()
        for index, request in enumerate(self.requests):
            if request is not None:
                request.cancel()
                await asyncio.wait([request])
            await self.replicas[index].close()


async def story(world: World, turns: Sequence[Turn], *, deferred: bool) -> None:
    """Tell it: each of *turns* says what happens next, of what can happen then."""
    world.schedule.free = True
    length = None if deferred else len(world.data)
    await world.replicas[0].create(ID, length, hashes=world.hashes)
    world.schedule.free = False
    for kind, choice, nature in turns:
        await world.until_something_waits()
        idle = [index for index in range(2) if world.requests[index] is None]
        if kind == 0:
            await world.kill(choice % 2)
        elif world.schedule.waiting and (kind > 2 or not idle):
            request = world.schedule.waiting[choice % len(world.schedule.waiting)]
            world.schedule.decide(request, _FATES[nature % len(_FATES)])
        elif idle:
            size = _SIZES[nature % len(_SIZES)]
            world.begin(idle[choice % len(idle)], size, manner=nature + choice)
    await world.finish()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Let the log say nothing of ten thousand failures."""
    log = logging.getLogger("fileloft_fast")
    log.setLevel(logging.CRITICAL)
    yield
    log.setLevel(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_acknowledged_stays_whatever_the_network_does(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)

    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # A story of threads is not told twice in the same words: there is nothing to shrink by.
        phases=[Phase.explicit, Phase.generate],
    )
    @given(
        st.lists(_TURNS, min_size=20, max_size=150),
        st.integers(1, 6 * PART),
        st.booleans(),
        st.sampled_from(((), ("sha512", "sha256"))),
    )
    def tell(turns: list[Turn], size: int, deferred: Any, hashes: tuple[str, ...]) -> None:
        data = bytes(i * 31 % 253 for i in range(size))
        bucket = bucket_of(kind)

        async def work(root: Path) -> None:
            world = World(bucket, root, data, hashes)
            try:
                await story(world, turns, deferred=deferred)
            finally:
                await world.close()

        with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
            asyncio.run(asyncio.wait_for(work(Path(root)), 60))
        assert bucket.objects[KEY].content == data

    tell()
