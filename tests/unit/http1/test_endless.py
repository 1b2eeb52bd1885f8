"""Answers without an end: how their parts are marked, and who ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.http1.site import Patience
from fileloft_fast.model import EndlessStream, Response
from tests.native.yard import reset
from tests.unit.http1.teller import Teller, connected, served

if TYPE_CHECKING:
    import socket

    from fileloft_fast.http1.site import Site

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\n\r\n"
PIECE = b"p" * 65536

Play = Callable[["Source", "Site", "socket.socket"], Coroutine[Any, Any, None]]


class Source:
    """Pieces that a test puts in; None ends them, an exception is raised."""

    def __init__(self) -> None:
        self.queue = asyncio.Queue[bytes | Exception | None]()
        self.closed = asyncio.Event()
        self.asked = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            while True:
                self.asked += 1
                piece = await self.queue.get()
                if piece is None:
                    return
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed.set()


def play(scene: Play, patience: Patience | None = None, receive_buffer: int | None = None) -> None:
    """Run *scene* against a server that answers with a stream without an end."""

    async def run() -> None:
        source = Source()
        teller = Teller(Response(200, body=EndlessStream(source.pieces())))
        async with asyncio.timeout(60), served(teller, patience) as (site, address):
            with await connected(address, receive_buffer) as client:
                await scene(source, site, client)
            while site.tasks:  # noqa: ASYNC110 - the site has no event
                await asyncio.sleep(0)
            assert not site.sendings

    uvloop.run(run())


async def send(client: socket.socket, request: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, request)


async def read_until(client: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        data = await asyncio.get_running_loop().sock_recv(client, 1 << 20)
        assert data, received
        received += data
    return received


async def read_to_end(client: socket.socket) -> bytes:
    received = b""
    while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
        received += data
    return received


async def written_full(source: Source, site: Site, client: socket.socket) -> Any:
    """Write until the client would have to read; return its connection."""
    await send(client, GET)
    while not site.connections:  # noqa: ASYNC110 - the site has no event
        await asyncio.sleep(0)
    (connection,) = site.connections
    while connection._writable is None:
        if source.queue.empty():
            source.queue.put_nowait(PIECE)
        await asyncio.sleep(0)
    return connection


@pytest.mark.parametrize(
    ("request_", "body", "is_chunked"),
    [
        (GET, b"3\r\none\r\nb\r\n and eleven\r\n0\r\n\r\n", True),
        (OLD_GET, b"one and eleven", False),
    ],
)
def test_each_piece_is_marked_as_the_version_has_it(
    request_: bytes, body: bytes, *, is_chunked: bool
) -> None:
    async def scene(source: Source, __: Site, client: socket.socket) -> None:
        await send(client, request_)
        head = await read_until(client, b"\r\n\r\n")  # before the first piece
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (b"\r\nTransfer-Encoding: chunked\r\n" in head) is is_chunked
        assert b"\r\nConnection: close\r\n" in head
        assert b"Content-Length" not in head
        for piece in (b"one", b"", b" and eleven"):
            source.queue.put_nowait(piece)
        source.queue.put_nowait(None)
        assert await read_to_end(client) == body
        assert source.closed.is_set()

    play(scene)


def test_a_piece_leaves_before_the_next_one_comes() -> None:
    async def scene(source: Source, _: Site, client: socket.socket) -> None:
        await send(client, GET)
        source.queue.put_nowait(b"one")
        await read_until(client, b"\r\n\r\n3\r\none\r\n")
        source.queue.put_nowait(b"two!")
        await read_until(client, b"4\r\ntwo!\r\n")
        source.queue.put_nowait(None)
        await read_to_end(client)

    play(scene)


def test_head_has_no_body_and_opens_nothing() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(client, GET.replace(b"GET", b"HEAD"))
        received = await read_to_end(client)
        assert received.endswith(b"\r\n\r\n")
        assert b"Content-Length" not in received
        assert source.asked == 0
        assert isinstance(site.answerer, Teller)
        body = site.answerer.response.body
        assert isinstance(body, EndlessStream)
        with pytest.raises(StopAsyncIteration):  # closed, although it was never begun
            await anext(body.pieces)

    play(scene)


@pytest.mark.parametrize("ends", ["drain", "finish"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_server_that_stops_ends_it_in_order_and_at_once(ends: str, *, begun: bool) -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(client, GET)
        if begun:
            source.queue.put_nowait(b"one")
            await read_until(client, b"one\r\n")
        else:
            await read_until(client, b"\r\n\r\n")
        getattr(site, ends)()
        assert await read_to_end(client) == b"0\r\n\r\n"
        await source.closed.wait()
        client.close()
        await site.emptied.wait()

    play(scene)


def test_one_that_begins_while_the_server_stops_ends_at_once() -> None:
    async def scene(_: Source, site: Site, client: socket.socket) -> None:
        assert isinstance(site.answerer, Teller)
        site.answerer.gate.clear()
        await send(client, GET)
        await site.answerer.asked.wait()
        site.drain()
        site.answerer.gate.set()
        assert (await read_to_end(client)).endswith(b"\r\n\r\n0\r\n\r\n")

    play(scene)


def test_a_drain_does_not_wait_for_a_client_that_does_not_read() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await written_full(source, site, client)
        site.drain()
        await site.emptied.wait()
        assert source.closed.is_set()

    play(scene, receive_buffer=65536)


@pytest.mark.parametrize("leaves", ["reset", "shutdown"])
def test_a_client_that_leaves_ends_it(leaves: str) -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(client, GET)
        while not source.asked:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0)
        if leaves == "reset":
            reset(client)
        else:
            client.shutdown(1)
        await source.closed.wait()
        while site.connections or site.tasks:  # noqa: ASYNC110 - the site has no event
            await asyncio.sleep(0)

    play(scene)


def test_a_client_that_waits_for_a_piece_is_not_taken_for_one_that_does_not_read() -> None:
    patience = Patience(body_s=1.0, min_rate_bytes_per_s=1000)

    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        connection = await written_full(source, site, client)
        source.queue.put_nowait(None)
        loop = asyncio.get_running_loop()
        while connection._writable is not None:
            await loop.sock_recv(client, 65536)
            await asyncio.sleep(0)
        connection.check(loop.time() + 1000.0)
        assert (await read_to_end(client)).endswith(b"\r\n0\r\n\r\n")

    play(scene, patience, 65536)


def test_a_client_that_does_not_read_is_given_up() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        connection = await written_full(source, site, client)
        connection.check(asyncio.get_running_loop().time() + 1.1)
        await source.closed.wait()
        assert not site.connections

    play(scene, Patience(body_s=1.0), 65536)


@pytest.mark.parametrize("failure", [RemoteUnavailableError("down"), RuntimeError("a bug")])
def test_a_source_that_fails_is_no_end(failure: Exception) -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(client, GET)
        source.queue.put_nowait(b"one")
        await read_until(client, b"one\r\n")
        source.queue.put_nowait(failure)
        try:
            received = await read_to_end(client)
        except ConnectionResetError:
            received = b""
        assert not received.endswith(b"0\r\n\r\n")
        await source.closed.wait()
        assert not site.connections

    play(scene)
