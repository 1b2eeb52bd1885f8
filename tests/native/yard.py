"""A yard for the engine: an engine that ticks fast, a directory, files, pairs of sockets."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from typing import Final

from fileloft_fast.dataplane import Engine, Transfer

RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Yard:
    """One engine and what its tests work on; everything is closed at the end."""

    def __init__(self, root: Path, loop: asyncio.AbstractEventLoop, stack: ExitStack) -> None:
        self.root = root
        self.loop = loop
        self.stack = stack
        self.directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, self.directory)
        self.engine = self.new_engine()

    def new_engine(self, *, transfer_threads: int = 4) -> Engine:
        engine = Engine(self.loop, transfer_threads=transfer_threads, tick_ms=20)
        self.stack.callback(engine.close)
        return engine

    def connection(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a TCP connection, the client's first, non-blocking."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        for end in (client, server):
            end.settimeout(0)
            self.stack.callback(end.close)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client, server

    def file(self, name: str = "data", contents: bytes = b"", flags: int = 0) -> int:
        """Make a file and return a descriptor of it."""
        self.write(name, contents)
        descriptor = os.open(self.root / name, os.O_RDWR | flags)
        self.stack.callback(os.close, descriptor)
        return descriptor

    def write(self, name: str, contents: bytes) -> None:
        (self.root / name).write_bytes(contents)

    def read(self, name: str = "data") -> bytes:
        return (self.root / name).read_bytes()

    def names(self) -> set[str]:
        return {path.name for path in self.root.iterdir()}

    async def sent(self, sock: socket.socket, data: bytes) -> None:
        await self.loop.sock_sendall(sock, data)

    async def received(self, sock: socket.socket, length: int) -> bytes:
        """Return *length* bytes, fewer where the stream ends before."""
        found = bytearray()
        while len(found) < length:
            piece = await self.loop.sock_recv(sock, min(length - len(found), 1 << 20))
            if not piece:
                break
            found += piece
        return bytes(found)

    async def until(self, probe: Callable[[], object]) -> None:
        """Poll *probe* until it is true; the test's own deadline ends it."""
        while not probe():  # noqa: ASYNC110 - the engine's counters have no event
            await asyncio.sleep(0.001)

    async def moved(self, transfer: Transfer, total: int) -> None:
        """Wait until *total* bytes are stored, or the transfer is over."""
        await self.until(lambda: transfer.moved == total or transfer.done.done())

    async def arrived(self, sock: socket.socket, transfer: Transfer, total: int) -> None:
        """Wait until *total* bytes are stored or queued in *sock*: a send returns before that."""

        def here() -> int:
            moved = transfer.moved  # first, so that no byte is counted twice
            return moved + int.from_bytes(ioctl(sock, termios.FIONREAD, bytes(4)), sys.byteorder)

        await self.until(lambda: here() >= total)

    async def over(self, transfer: Transfer) -> tuple[int, int]:
        """Return what moved in all, and the errno."""
        moved = await transfer.done
        assert moved == transfer.moved
        return moved, transfer.errno


def engine_threads() -> list[dict[str, str]]:
    """Return what /proc tells of every thread of an engine."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that was joined is listed a little longer
            lines = (thread / "status").read_text().splitlines()
            found.append(dict(line.split(":\t", 1) for line in lines if ":\t" in line))
    return [status for status in found if status["Name"].startswith("fl-")]


def body(length: int, seed: int = 0) -> bytes:
    """Return bytes that repeat nowhere, the same ones for the same seed."""
    return random.Random(seed).randbytes(length)


def reset(sock: socket.socket) -> None:
    """Close with an RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    sock.close()


@contextmanager
def soft_limit(limit: int, value: int) -> Iterator[None]:
    """Lower one of this process's limits for a while."""
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(limit, before)


def pieces(data: bytes, seed: int, largest: int) -> Iterator[bytes]:
    """Cut *data* at random places."""
    source = random.Random(seed)
    at = 0
    while at < len(data):
        end = at + source.randint(1, largest)
        yield data[at:end]
        at = end
