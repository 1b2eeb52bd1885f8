"""Whatever happens between a client, the spool and the bucket, in whatever order: nothing is lost.

What was acknowledged stays, an offset never goes back, and in the end the object is what was sent.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fileloft_fast.config import AckMode
from fileloft_fast.errors import NotStoredError, RemoteUnavailableError
from fileloft_fast.flush import FlushPlan, compress, shipment
from fileloft_fast.model import UploadId, UploadInfo
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, PREFIX, Spooled, digests_of, hurry, start

if TYPE_CHECKING:
    from fileloft_fast.stores import Appender

ID: Final = UploadId("a" * 32)
MOST: Final = 6 * PART
FRAME: Final = 1500  # several to a part

sizes = st.one_of(
    st.integers(0, 2 * PART), st.sampled_from((1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART))
)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("patch", "checked", "small", "cut", "damaged")), sizes),
        st.tuples(st.sampled_from(("crash", "restart", "forget", "declare"))),
        st.tuples(st.just("pause"), st.integers(1, 12)),
        st.tuples(
            st.just("fault"),
            st.sampled_from(("refuse", "lose")),
            st.sampled_from(("", "create", "put_part", "complete", "put", "head")),
            st.integers(1, 3),
        ),
        st.tuples(st.just("away"), st.booleans()),
    ),
    max_size=14,
)
plans = st.builds(
    FlushPlan,
    ack=st.sampled_from((AckMode.FINISH, AckMode.SPOOL)),
    patience_s=st.just(0.05),
    zstd_level=st.sampled_from((0, 0, 1)),
    parts_at_once=st.integers(1, 4),
)


@pytest.fixture(autouse=True, scope="module")
def _hurried() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        patch.setattr(compress, "FRAME_BYTES", FRAME)
        patch.setattr(shipment, "FRAME_BYTES", FRAME)
        yield


@dataclass
class Story:
    """One upload, its client, and the process that serves it."""

    root: Path
    bucket: Bucket
    plan: FlushPlan
    content: bytes
    length: int | None
    hashes: tuple[str, ...] = ()
    process: Spooled = field(init=False)
    offset: int = 0
    """As the client was told last."""

    async def run(self, steps: list[tuple[Any, ...]]) -> None:
        self.process = await start(self.root, self.bucket, self.plan)
        try:
            await self.unless_away(self.process.create(ID, self.length, hashes=self.hashes))
            for name, *arguments in steps:
                await getattr(self, f"do_{name}")(*arguments)
                await self.do_look()
            await self.end()
        finally:
            await self.process.close()

    async def end(self) -> None:
        """Let everything work, send the rest, and compare."""
        self.process.objects.faults.clear()
        self.process.flusher.patience_s = (
            30.0  # nothing fails any more, but the machine may be slow
        )
        await self.do_look()
        await self.do_declare()
        await self.do_patch(len(self.content))
        await self.process.settled()
        await self.do_look()
        assert self.offset == len(self.content)
        assert self.stored() == self.content
        assert await self.process.get(ID) == self.content
        assert self.process.files(ID) == []
        digests = (await self.process.head(ID)).digests
        if digests or not self.plan.zstd_level:  # what is compressed is not noted part by part
            assert digests == digests_of(self.content, self.hashes)

    def stored(self) -> bytes:
        """Return the bytes that the object stands for."""
        found = self.process.content(ID)
        assert found is not None
        if self.bucket.objects[PREFIX + ID].attributes.encoding != "zstd":
            return found
        reader = zstandard.ZstdDecompressor().stream_reader(found, read_across_frames=True)
        return reader.read()

    async def unless_away(self, request: Coroutine[Any, Any, UploadInfo | None]) -> None:
        """Send a request; its answer may be that the bucket does not answer."""
        try:
            info = await request
        except (NotStoredError, RemoteUnavailableError):
            return
        if info is not None:
            self.offset = info.offset
            if info.complete and self.plan.ack is AckMode.FINISH:
                assert self.stored() == self.content

    async def do_look(self) -> None:
        before = self.offset
        await self.unless_away(self.process.head(ID))
        assert self.offset >= before

    async def do_patch(self, size: int, *, checked: bool = False) -> None:
        body = self.next(size)
        half = len(body) // 2
        if await self.agrees():
            request = self.process.patch(ID, body[:half], body[half:], checked=checked)
            await self.unless_away(request)

    async def do_checked(self, size: int) -> None:
        await self.do_patch(size, checked=True)

    async def do_small(self, size: int) -> None:
        async def append() -> UploadInfo:
            store = self.process.store
            return await store.append(await store.load(ID), self.next(size))

        if await self.agrees():
            await self.unless_away(append())

    async def do_cut(self, size: int) -> None:
        """A body that ends early, of which the client hears nothing."""
        appender = await self.opened()
        if appender is not None:
            await appender.write(self.next(size))
            await appender.keep()

    async def do_damaged(self, size: int) -> None:
        """A body that does not match its checksum."""
        appender = await self.opened(checked=True)
        if appender is not None:
            await appender.write(bytes(len(self.next(size))))
            await appender.discard()

    async def do_declare(self) -> None:
        if self.length is None:
            store = self.process.store
            await store.declare(await store.load(ID), len(self.content))
            self.length = len(self.content)

    async def do_crash(self) -> None:
        await self.process.kill()
        self.process = await start(self.root, self.bucket, self.plan)

    async def do_restart(self) -> None:
        await self.process.close()
        self.process = await start(self.root, self.bucket, self.plan)

    async def do_pause(self, turns: int) -> None:
        """Let the background work for a while."""
        for _ in range(turns):
            await asyncio.sleep(0.0005)

    async def do_forget(self) -> None:
        """The store forgets a session that holds nothing yet."""
        if not any(session.parts or session.persisted for session in self.bucket.sessions.values()):
            self.bucket.drop_session()

    async def do_fault(self, kind: str, name: str, times: int) -> None:
        plan = getattr(self.process.objects.faults, kind)
        plan(name, times=times)

    async def do_away(self, away: bool) -> None:  # noqa: FBT001 - a step of a story
        self.process.objects.faults.down = away

    async def opened(self, *, checked: bool = False) -> Appender | None:
        store = self.process.store
        if not await self.agrees():
            return None
        return await store.open(await store.load(ID), checked=checked)

    async def agrees(self) -> bool:
        """Whether the client knows the offset, which its last look may not have been told (409)."""
        try:
            return (await self.process.load(ID)).info.offset == self.offset
        except RemoteUnavailableError:
            return False

    def next(self, size: int) -> bytes:
        """Return what comes next, as the store sees it: the client has just looked."""
        return self.content[self.offset : self.offset + size]


@given(
    st.integers(0, MOST),
    st.booleans(),
    plans,
    st.sampled_from(("parallel", "sequential", "blocks")),
    st.sampled_from(((), ("sha256",), ("sha256", "sha512"))),
    steps,
)
@settings(max_examples=200, deadline=None)
def test_nothing_that_was_acknowledged_is_lost_or_changed(  # noqa: PLR0917 - drawn
    size: int,
    deferred: bool,  # noqa: FBT001 - drawn
    plan: FlushPlan,
    kind: str,
    hashes: tuple[str, ...],
    story: list[tuple[Any, ...]],
) -> None:
    limits = SEQUENTIAL if kind == "sequential" else PARALLEL
    content = random.Random(size).randbytes(size)
    with tempfile.TemporaryDirectory() as root:
        bucket = Bucket(limits, block_ids=kind == "blocks")
        length = None if deferred else size
        asyncio.run(Story(Path(root), bucket, plan, content, length, hashes).run(story))
