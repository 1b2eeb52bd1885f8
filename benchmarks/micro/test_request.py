"""A whole request without a socket: bytes in, through everything that serves, bytes out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from benchmarks.micro.requests import BODY, CREATE, append
from fileloft_fast.app.site import site_of
from fileloft_fast.app.storage import opened_storage
from fileloft_fast.config import read_settings
from fileloft_fast.http1.connection import Connection

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from benchmarks.micro.paired import Paired
    from fileloft_fast.http1.site import Site

REQUESTS: Final = 20
CREATE_LARGE: Final = (
    b"POST /files/ HTTP/1.1\r\nHost: upload.example\r\nTus-Resumable: 1.0.0\r\n"
    b"Upload-Length: 1000000000\r\nUpload-Metadata: filename c21hbGwuYmlu\r\n\r\n"
)

pytestmark = pytest.mark.yardstick("kernel")


class Line:
    """A transport that takes answers: they are awaited one by one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answer: asyncio.Future[bytes] = loop.create_future()

    def set_write_buffer_limits(self, _high: int, _low: int) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self._answer.set_result(data)

    async def answer(self) -> bytes:
        """Return the next answer."""
        data = await self._answer
        self._answer = self._loop.create_future()
        return data


class Talk:
    """A connection to a server, and what it answers."""

    def __init__(self, site: Site) -> None:
        self._buffer = site.buffer
        self._line = Line(site.loop)
        self._connection = Connection(site)
        self._connection.connection_made(cast("asyncio.Transport", self._line))

    async def ask(self, request: bytes, status: bytes) -> bytes:
        """Send *request*, whose answer must have *status*."""
        self._buffer[: len(request)] = request
        self._connection.buffer_updated(len(request))
        answer = await self._line.answer()
        assert answer[9:12] == status, answer
        return answer

    def close(self) -> None:
        """Hang up."""
        self._connection.connection_lost(None)


@pytest.fixture
def talk(loop: asyncio.AbstractEventLoop, folder: Path) -> Iterator[Talk]:
    """Return a connection to a server with one process's usual settings, on a disk in memory."""
    settings = read_settings({"FILELOFT_DATA_DIR": str(folder), "FILELOFT_SYNC": "none"})
    stack = AsyncExitStack()

    async def opened() -> Talk:
        storage = await stack.enter_async_context(opened_storage(settings))
        site, _ = site_of(settings, storage, max_connections=10)
        return Talk(site)

    talk = loop.run_until_complete(opened())
    yield talk
    talk.close()
    loop.run_until_complete(stack.aclose())


def test_small_creations_with_upload(
    paired: Paired, loop: asyncio.AbstractEventLoop, folder: Path, talk: Talk
) -> None:
    async def create_all(_turn: int) -> None:
        for _ in range(REQUESTS):
            await talk.ask(CREATE + BODY, b"201")

    turns = paired.turns(loop, create_all)
    assert len(list(folder.glob("*.info"))) == turns * REQUESTS


def test_small_patches(
    paired: Paired, loop: asyncio.AbstractEventLoop, folder: Path, talk: Talk
) -> None:
    upload = _made(loop, talk)

    async def append_all(turn: int) -> None:
        for number in range(turn * REQUESTS, (turn + 1) * REQUESTS):
            await talk.ask(append(number * len(BODY), upload) + BODY, b"204")

    turns = paired.turns(loop, append_all)
    assert (folder / upload).read_bytes() == BODY * REQUESTS * turns


def test_heads(paired: Paired, loop: asyncio.AbstractEventLoop, talk: Talk) -> None:
    target = f"HEAD /files/{_made(loop, talk)} HTTP/1.1\r\n".encode()
    question = target + b"Host: upload.example\r\nTus-Resumable: 1.0.0\r\n\r\n"
    answers: list[bytes] = []

    async def look_all(_turn: int) -> None:
        for _ in range(REQUESTS):
            answers[:] = [await talk.ask(question, b"200")]

    paired.turns(loop, look_all)
    assert b"\r\nUpload-Offset: 0\r\n" in answers[0]


def _made(loop: asyncio.AbstractEventLoop, talk: Talk) -> str:
    answer = loop.run_until_complete(talk.ask(CREATE_LARGE, b"201"))
    found = re.search(rb"/files/([0-9a-f]{32})\r\n", answer)
    assert found is not None
    return found[1].decode()
