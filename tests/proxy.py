"""A TCP proxy on loopback that does to a connection what bad networks do, as a test scripts it."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

_READ_BYTES: Final = 262_144


class End(Enum):
    """How a direction ends once it has passed its bytes."""

    CLOSE = "close"
    """Both sides see FIN; what was passed is delivered."""

    RESET = "reset"
    """Both sides see RST (SO_LINGER 0)."""

    STALL = "stall"
    """Nothing more passes this way, and nobody is told until the proxy stops."""


@dataclass(frozen=True, slots=True)
class Course:
    """What one direction of one connection goes through.

    *after* bytes it comes to its *end*; None passes everything. *piece* is the most that is passed
    at once, *pause_s* the time between two pieces.
    """

    after: int | None = None
    end: End = End.CLOSE
    piece: int = _READ_BYTES
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fate:
    """What one connection goes through: *up* to the server, *down* to the client."""

    up: Course = Course()
    down: Course = Course()


UNHARMED: Final = Fate()


@dataclass(frozen=True, slots=True)
class Break:
    """Once *at* bytes have passed up in all, the next piece, whosever it is, ends its connection.

    Clients share out their requests over connections as they like; this finds them all. With
    *answer* it is the next piece that the server sends.
    """

    at: int
    end: End
    answer: bool = False


class Proxy:
    """A proxy to *target*, which may be set anew where the server comes back elsewhere.

    Connections take their fates in the order in which they come, and *otherwise* when none is left;
    *breaks* happen beside that, one after the other. It runs in a thread of its own until closed.
    """

    def __init__(
        self,
        target: tuple[str, int],
        *fates: Fate,
        otherwise: Fate = UNHARMED,
        breaks: Iterable[Break] = (),
    ) -> None:
        self.target = target
        self.fates = deque(fates)
        self.otherwise = otherwise
        self.breaks = deque(breaks)
        self.accepted = 0
        self.passed_up = 0
        """Bytes that were passed to the server, over all connections."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address: tuple[str, int] = listener.getsockname()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="proxy")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Reset every connection and stop."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def reset_all(self) -> None:
        """Reset every connection that there is, and keep accepting others."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._connect, sock=listener, limit=_READ_BYTES)
        await self._stopping.wait()
        server.close()
        self._reset_all()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connect(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self.accepted += 1
        fate = self.fates.popleft() if self.fates else self.otherwise
        writers = [to_client]
        try:
            from_server, to_server = await asyncio.open_connection(*self.target, limit=_READ_BYTES)
            writers.append(to_server)
            self._writers.update(writers)
            end = await self._pass_both(fate, (from_client, to_server), (from_server, to_client))
        except (OSError, asyncio.CancelledError):
            end = End.RESET  # no server, the other side's reset, or the end of the test
        for writer in writers:
            if end is End.RESET:
                _reset(writer)
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
        self._connections.discard(task)
        self._writers.difference_update(writers)

    async def _pass_both(
        self,
        fate: Fate,
        up: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        down: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> End:
        """Pass both ways until one comes to its scripted end, or both to their natural one."""
        tasks = {
            asyncio.create_task(self._pass(fate.up, *up, answer=False)),
            asyncio.create_task(self._pass(fate.down, *down, answer=True)),
        }
        try:
            while tasks:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for end in [task.result() for task in done]:
                    if end is not None:
                        return end
        finally:
            for task in tasks:
                task.cancel()
        return End.CLOSE

    async def _pass(
        self,
        course: Course,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        answer: bool,
    ) -> End | None:
        """Pass one way; return its scripted end, or None after the sender's FIN was passed on."""
        writer.transport.set_write_buffer_limits(0)  # so that drain() means that it left
        left = sys.maxsize if course.after is None else course.after
        while left:
            data = await reader.read(min(course.piece, left))
            if not data:
                writer.write_eof()
                return None
            end = self._break(answer=answer)
            if end is not None:
                return await self._wait_if_stalled(end)
            writer.write(data)
            await writer.drain()
            left -= len(data)
            self.passed_up += 0 if answer else len(data)
            await asyncio.sleep(course.pause_s)
        return await self._wait_if_stalled(course.end)

    def _break(self, *, answer: bool) -> End | None:
        """Return how the connection whose piece comes next breaks, if it does."""
        first = self.breaks[0] if self.breaks else None
        if first is None or first.answer != answer or self.passed_up < first.at:
            return None
        self.breaks.popleft()
        return first.end

    async def _wait_if_stalled(self, end: End) -> End:
        if end is End.STALL:
            await self._stopping.wait()
        return end

    def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, whatever is still queued."""
    if not writer.transport.is_closing():
        linger = struct.pack("ii", 1, 0)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
