"""The journal of a shipment: what survives of it, and what a torn or damaged one says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, Engine
from fileloft_fast.errors import StorageFullError, StoreError
from fileloft_fast.flush.journal import (
    Begin,
    Completed,
    Completing,
    Entry,
    Frame,
    Journal,
    Part,
    Session,
    render,
)
from tests.deadline import eventually

NAME: Final = b"upload.journal"
PARTS: Final = [Part(n, 16 * (n - 1), 16, f'"etag-{n}"', 0xC0FFEE + n) for n in range(1, 6)]
STORY: Final[list[Entry]] = [
    Begin("prefix/id", 16, "owner"),
    Session("session\nname ü"),
    *PARTS,
    Completing(80, 0xE3069283),
    Completed('"whole"'),
]


class Desk:
    """A directory, an engine, and journals in it."""

    def __init__(self, root: Path, engine: Engine, directory: int) -> None:
        self.path = root / NAME.decode()
        self.engine = engine
        self.directory = directory

    def journal(self, engine: Any = None) -> Journal:
        return Journal(self.engine if engine is None else engine, self.directory, NAME)


@asynccontextmanager
async def desk(root: Path) -> AsyncIterator[Desk]:
    engine = Engine(asyncio.get_running_loop())
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Desk(root, engine, directory)
    finally:
        engine.close()
        os.close(directory)


class Spy:
    """An engine that notes what is asked of it, and holds jobs back or fails them."""

    def __init__(self, engine: Engine) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.fail: dict[str, int] = {}
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Event()
        self._engine = engine

    def append(
        self, directory: int, name: bytes, body: bytes, offset: int, sync: int
    ) -> asyncio.Future[int]:
        self.calls.append(("append", sync))
        return asyncio.ensure_future(self._append(directory, name, body, offset, sync))

    async def _append(self, directory: int, name: bytes, body: bytes, at: int, sync: int) -> int:
        if self.hold is not None:
            self.held.set()
            await self.hold.wait()
        number = self.fail.pop("append", 0)
        if number:
            await self._engine.append(directory, name, body[: len(body) // 2], at, sync)
            raise OSError(number, os.strerror(number))
        return await self._engine.append(directory, name, body, at, sync)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self.calls.append((name, args))
            return getattr(self._engine, name)(*args)

        return call


def ends(lines: list[bytes]) -> list[tuple[int, bytes]]:
    """Return each line with where it ends."""
    return [(sum(map(len, lines[: i + 1])), line) for i, line in enumerate(lines)]


# -- the file -------------------------------------------------------------------------------------


def test_there_is_no_file_before_the_first_entry(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            journal = at.journal()
            assert await journal.read() == []
            assert not at.path.exists()
            await journal.append(STORY[0])
            assert at.path.read_bytes() == render(STORY[0])
            assert at.path.stat().st_mode & 0o777 == 0o600

    asyncio.run(scene())


def test_the_next_process_reads_what_this_one_has_written(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            journal = at.journal()
            for entry in STORY[:4]:
                await journal.append(entry)
            after = at.journal()
            assert await after.read() == STORY[:4]
            for entry in STORY[4:]:
                await after.append(entry)
            assert await at.journal().read() == STORY

    asyncio.run(scene())


def test_one_goes_on_without_having_read(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            await at.journal().append(STORY[0])
            await at.journal().append(STORY[1])
            assert await at.journal().read() == STORY[:2]

    asyncio.run(scene())


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_journal_that_was_torn_goes_on_right(data: st.DataObject) -> None:
    lines = list(map(render, STORY))
    contents = b"".join(lines)
    cut = data.draw(st.integers(0, len(contents)))
    # In place of an end of line alone it would be damage.
    noise = data.draw(st.binary(max_size=40).filter(lambda n: b"\n" not in n and len(n) != 1))
    whole = STORY[: sum(1 for end, _ in ends(lines) if end <= cut)]

    async def scene(root: Path) -> None:
        async with desk(root) as at:
            at.path.write_bytes(contents[:cut] + noise)
            journal = at.journal()
            before = await journal.read()
            assert before[: len(whole)] == whole
            await journal.append(Frame(1, 1))
            await journal.append(Frame(2, 2))
            assert await at.journal().read() == [*before, Frame(1, 1), Frame(2, 2)]
            expected = b"".join(map(render, [*before, Frame(1, 1), Frame(2, 2)]))
            assert at.path.read_bytes() == expected

    with TemporaryDirectory() as root:
        asyncio.run(scene(Path(root)))


def test_a_journal_larger_than_a_megabyte_is_read_whole(tmp_path: Path) -> None:
    story = [Part(n, n, 16, "t" * 64, n) for n in range(10_000)]

    async def scene() -> None:
        async with desk(tmp_path) as at:
            at.path.write_bytes(b"".join(map(render, story)))
            assert at.path.stat().st_size > 1024 * 1024
            assert await at.journal().read() == story

    asyncio.run(scene())


def test_entries_of_many_at_once_are_all_there_and_whole(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            journal = at.journal()
            await asyncio.gather(*(journal.append(Frame(n, n)) for n in range(50)))
            assert await at.journal().read() == [Frame(n, n) for n in range(50)]

    asyncio.run(scene())


def test_an_entry_is_durable_with_its_file_s_name(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            spy = Spy(at.engine)
            journal = at.journal(spy)
            await journal.append(Frame(1, 1))
            await journal.append(Frame(2, 2))
            await journal.append(Frame(3, 3))
            again = at.journal(spy)
            await again.append(Frame(4, 4))
            syncs = [argument for name, argument in spy.calls if name == "append"]
            assert syncs == [SYNC_NAME, SYNC_DATA, SYNC_DATA, SYNC_NAME]

    asyncio.run(scene())


def test_an_entry_that_failed_leaves_no_trace_behind_the_next(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            spy = Spy(at.engine)
            journal = at.journal(spy)
            await journal.append(STORY[0])
            spy.fail["append"] = 28
            with pytest.raises(StorageFullError):
                await journal.append(STORY[1])
            assert at.path.stat().st_size > len(render(STORY[0]))
            await journal.append(Frame(0, 0))
            assert at.path.read_bytes() == render(STORY[0]) + render(Frame(0, 0))

    asyncio.run(scene())


def test_the_next_entry_waits_for_one_whose_writer_was_cancelled(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            spy = Spy(at.engine)
            journal = at.journal(spy)
            await journal.append(STORY[0])
            spy.hold = asyncio.Event()
            writer = asyncio.create_task(journal.append(STORY[1]))
            await spy.held.wait()
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            following = asyncio.create_task(journal.append(Frame(9, 9)))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not following.done()
            spy.hold.set()
            await following
            assert at.path.read_bytes() == render(STORY[0]) + render(Frame(9, 9))

    asyncio.run(scene())


def test_a_removed_journal_begins_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            journal = at.journal()
            await journal.remove()
            await journal.append(STORY[0])
            await journal.remove()
            assert not at.path.exists()
            await journal.append(STORY[1])
            assert await journal.read() == [STORY[1]]

    asyncio.run(scene())


def open_files() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(str(entry.readlink()))
    return found


def test_a_read_that_was_cancelled_leaks_no_descriptor(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as at:
            await at.journal().append(STORY[0])
            for turns in range(12):
                reader = asyncio.create_task(at.journal().read())
                for _ in range(turns):
                    await asyncio.sleep(0)
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    await reader
            await asyncio.to_thread(eventually, lambda: str(at.path) not in open_files())

    asyncio.run(scene())


def test_a_disk_that_fails_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / NAME.decode()).mkdir()

    async def scene() -> None:
        async with desk(tmp_path) as at:
            with pytest.raises(StoreError):
                await at.journal().read()
            with pytest.raises(StoreError):
                await at.journal().append(STORY[0])
            with pytest.raises(StoreError):
                await at.journal().remove()

    asyncio.run(scene())


def test_to_a_journal_that_is_damaged_nothing_is_added(tmp_path: Path) -> None:
    contents = b"".join(map(render, STORY)).replace(b"owner", b"0wner")

    async def scene() -> None:
        async with desk(tmp_path) as at:
            at.path.write_bytes(contents)
            journal = at.journal()
            for _ in range(2):
                with pytest.raises(StoreError, match="damaged"):
                    await journal.append(STORY[0])
            assert at.path.read_bytes() == contents

    asyncio.run(scene())
