"""Jobs of the engine: given to its threads, done in memory, and heard of on the loop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.micro.requests import BODY
from fileloft_fast.dataplane import SYNC_NONE, Engine
from fileloft_fast.flush.journal import Begin, Journal, Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.micro.paired import Paired

JOBS: Final = 32

pytestmark = pytest.mark.yardstick("kernel")


@pytest.fixture
def directory(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_a_job_alone(
    paired: Paired, loop: asyncio.AbstractEventLoop, engine: Engine, directory: int
) -> None:
    name = b"upload"
    loop.run_until_complete(engine.create(directory, name, BODY, b"upload.info", b"{}", SYNC_NONE))

    seen: list[tuple[bytes, int]] = []

    async def look(_turn: int) -> None:
        contents, size, _ = await engine.inspect(directory, name, b"upload.info")
        seen[:] = [(contents, size)]

    paired.turns(loop, look, 1500)
    assert seen == [(b"{}", len(BODY))]


def test_jobs_at_once(
    paired: Paired, loop: asyncio.AbstractEventLoop, engine: Engine, directory: int
) -> None:
    name = b"upload"
    loop.run_until_complete(engine.create(directory, name, BODY, b"upload.info", b"{}", SYNC_NONE))

    seen: list[tuple[bytes, int]] = []

    async def look(_turn: int) -> None:
        jobs = [engine.inspect(directory, name, b"upload.info") for _ in range(JOBS)]
        seen[:] = [(contents, size) for contents, size, _ in await asyncio.gather(*jobs)]

    paired.turns(loop, look, 300)
    assert seen == [(b"{}", len(BODY))] * JOBS


def test_small_uploads_are_made(
    paired: Paired, loop: asyncio.AbstractEventLoop, engine: Engine, directory: int
) -> None:
    async def make(first: int) -> None:
        await asyncio.gather(
            *[
                engine.create(
                    directory, b"%032x" % n, BODY, b"%032x.info" % n, b"{}" * 200, SYNC_NONE
                )
                for n in range(first, first + JOBS)
            ]
        )

    made = paired.turns(loop, lambda turn: make(turn * JOBS))
    names = os.listdir(directory)
    assert len(names) == 2 * JOBS * made
    assert os.stat(names[0], dir_fd=directory).st_size in {len(BODY), 400}


def test_the_journal(
    paired: Paired, loop: asyncio.AbstractEventLoop, engine: Engine, directory: int
) -> None:
    journal = Journal(engine, directory, b"upload.journal")
    loop.run_until_complete(journal.append(Begin("prefix/upload", 16, "owner")))

    async def write_down(first: int) -> None:
        for number in range(first, first + JOBS):
            await journal.append(Part(number, 16 * number, 16, '"etag-of-a-part"', 0xC0FFEE))

    written = paired.turns(loop, lambda turn: write_down(turn * JOBS + 1))
    entries = loop.run_until_complete(journal.read())
    assert len(entries) == 1 + JOBS * written
    assert isinstance(last := entries[-1], Part)
    assert last.number == JOBS * written
