"""A proxy before an object store that fails requests as a test scripts it, HTTP's terms known.

It passes bytes as they are, the Host field included, so that signatures hold. Only requests are
parsed: a client that waits for each answer needs no more.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE: Final = 65_536
_HEAD_BYTES: Final = 65_536
_SHARE: Final = 0.3


class How(Enum):
    """What happens to a request."""

    BUSY = "busy"
    """It is answered 503, and the store never sees it."""

    CUT = "cut"
    """The connection is reset once half of the body has passed; without one, before anything."""

    LOST = "lost"
    """The store gets it and answers; the answer never comes: the connection is reset."""

    SLOW = "slow"
    """Its body passes at ``Faulty.slow_bytes_per_s``."""

    SILENT = "silent"
    """Nothing is heard of it any more, until ``Faulty.reset``: the way swallows it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a script sees it."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def size(self) -> int:
        """The length of the body; 0 where it is chunked."""
        return int(self.headers.get("content-length", "0"))


Script = Callable[[Asked], How | None]


class Faulty:
    """A faulty way to the store at *url*. Runs in a thread of its own until closed.

    *script* is asked about every request; None lets it pass. While ``down`` is set every connection
    is reset, running ones too.
    """

    def __init__(self, url: str, script: Script = lambda _: None) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        self.script = script
        self.slow_bytes_per_s = 1_000_000
        self.seen: Counter[How] = Counter()
        self.requests = 0
        self.passed_up = 0
        """Bytes of bodies on their way to the store."""
        self.passed_down = 0
        """Bytes of answers, heads included."""
        self._down = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        host, port = listener.getsockname()
        self.url = parts._replace(netloc=f"{host}:{port}").geturl()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="faulty")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def heal(self) -> None:
        """Let everything pass from now on, and count anew; what was swallowed is reset."""
        self.script = lambda _: None
        self.down = False
        self.reset()
        self.seen.clear()
        self.requests = self.passed_up = self.passed_down = 0

    def reset(self) -> None:
        """Reset every connection that there is."""
        self._loop.call_soon_threadsafe(self._reset_all)

    @property
    def down(self) -> bool:
        """Whether the store cannot be reached."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = value
        if value:
            self.reset()

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._connect, sock=listener, limit=_HEAD_BYTES)
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(back)
        store: asyncio.StreamWriter | None = None
        try:
            if self._down:
                return
            answers, store = await asyncio.open_connection(*self._target, limit=_HEAD_BYTES)
            self._writers.add(store)
            await _Connection(self, client, back, answers, store).run()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # either side went away, or the test is over: both are reset below
        finally:
            for writer in filter(None, (back, store)):
                writer.transport.abort()
                self._writers.discard(writer)
            self._tasks.discard(task)

    def _reset_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


class _Connection:
    """One connection: its requests up, one after the other, and whatever comes down."""

    def __init__(
        self,
        faulty: Faulty,
        client: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        store: asyncio.StreamWriter,
    ) -> None:
        self._faulty = faulty
        self._client = client
        self._back = back
        self._answers = answers
        self._store = store
        self._lose = False

    async def run(self) -> None:
        ways = {asyncio.create_task(self._up()), asyncio.create_task(self._down())}
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _up(self) -> None:
        while True:
            raw = await self._client.readuntil(b"\r\n\r\n")
            asked = parse_asked(raw)
            self._faulty.requests += 1
            how = self._faulty.script(asked)
            if how is not None:
                self._faulty.seen[how] += 1
            if how is How.BUSY:
                await self._refuse(asked)
                continue
            if how is How.SILENT:
                await asyncio.get_running_loop().create_future()
            if how is How.CUT and not asked.size:
                return
            self._lose = how is How.LOST
            self._store.write(raw)
            if "chunked" in asked.headers.get("transfer-encoding", ""):
                await self._pass_chunks()
            elif how is How.CUT:
                await self._pass(asked.size // 2)
                return
            else:
                rate = self._faulty.slow_bytes_per_s if how is How.SLOW else 0
                await self._pass(asked.size, rate)

    async def _refuse(self, asked: Asked) -> None:
        """Answer 503; a client that waits for 100 is not asked for its body."""
        waits = "expect" in asked.headers
        if not waits:
            await self._client.readexactly(asked.size)
        ending = b"Connection: close\r\n" if waits else b""
        line = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
        self._back.write(line + ending + b"\r\n")
        await self._back.drain()
        if waits:
            raise EOFError

    async def _pass(self, size: int, bytes_per_s: int = 0) -> None:
        while size:
            data = await self._client.read(min(_PIECE, size))
            if not data:
                raise EOFError
            self._store.write(data)
            await self._store.drain()
            self._faulty.passed_up += len(data)
            size -= len(data)
            if bytes_per_s:
                await asyncio.sleep(len(data) / bytes_per_s)  # the rate is what is simulated

    async def _pass_chunks(self) -> None:
        while True:
            line = await self._client.readuntil(b"\r\n")
            self._store.write(line)
            size = int(line.split(b";")[0], 16)
            await self._pass(size + 2)
            if size == 0:
                return

    async def _down(self) -> None:
        while data := await self._answers.read(_PIECE):
            interim = data.startswith(b"HTTP/1.1 100")
            if self._lose and not interim:
                return
            self._back.write(data)
            await self._back.drain()
            self._faulty.passed_down += len(data)


def parse_asked(raw: bytes) -> Asked:
    """Return what a request's head says."""
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = [line.split(":", 1) for line in lines]
    return Asked(method, target, {name.lower(): value.strip() for name, value in pairs})


_KEY: Final = r"[0-9a-f]{32}"


def is_part(asked: Asked) -> bool:
    """Whether *asked* sends a part, a block, or bytes of a session that are not its last."""
    if asked.method != "PUT" or not asked.size or is_completion(asked):
        return False
    return bool(re.search(r"[?&](partNumber=|comp=block(&|$)|upload_id=)", asked.target))


def is_completion(asked: Asked) -> bool:
    """Whether *asked* makes an object of its parts (S3, Azure) or sends the last bytes (GCS)."""
    if asked.method == "POST":
        return "uploadId=" in asked.target
    if asked.method != "PUT":
        return False
    span = asked.headers.get("content-range", "")
    return "comp=blocklist" in asked.target or bool(re.fullmatch(r"bytes \d+-\d+/\d+", span))


def is_put(asked: Asked) -> bool:
    """Whether *asked* puts the object of an upload in one request."""
    return _puts(asked, _KEY)


def is_record(asked: Asked) -> bool:
    """Whether *asked* puts the record of an upload."""
    return _puts(asked, _KEY + r"\.info")


def is_tail(asked: Asked) -> bool:
    """Whether *asked* puts the tail of an upload."""
    return _puts(asked, _KEY + r"\.tail-[0-9a-f]+")


def is_copy(asked: Asked) -> bool:
    """Whether *asked* has the store copy, or compose, something that it has."""
    source = {"x-amz-copy-source", "x-ms-copy-source"} & asked.headers.keys()
    return bool(source) or asked.target.partition("?")[0].endswith("/compose")


def _puts(asked: Asked, key: str) -> bool:
    path, _, query = asked.target.partition("?")
    if asked.method == "POST":
        whole = "uploadType=multipart" in query
        return whole and bool(re.search(rf"(^|&)name={key}(&|$)", query))
    signed = not query or "sig=" in query  # Azure's query lets us in, or says what is put
    return asked.method == "PUT" and signed and bool(re.search(rf"/{key}$", path))


def every(number: int, how: How, kind: Callable[[Asked], bool] = lambda _: True) -> Script:
    """Return a script by which each *number*-th request of a kind fails in one way."""
    count = 0

    def script(asked: Asked) -> How | None:
        nonlocal count
        if not kind(asked):
            return None
        count += 1
        return how if count % number == 0 else None

    return script


def at_times(how: How, kind: Callable[[Asked], bool] = lambda _: True) -> Script:
    """Return a script by which the first request of a kind fails, and then others by a die.

    None of those in a fixed rhythm: what takes three requests would never get through every third.
    """
    dice, begun = random.Random("at times"), False

    def script(asked: Asked) -> How | None:
        nonlocal begun
        if not kind(asked):
            return None
        fails = not begun or dice.random() < _SHARE
        begun = True
        return how if fails else None

    return script


def first(how: How, kind: Callable[[Asked], bool], times: int = 1) -> Script:
    """Return a script by which the first requests of a kind fail in one way."""
    left = times

    def script(asked: Asked) -> How | None:
        nonlocal left
        if left and kind(asked):
            left -= 1
            return how
        return None

    return script
