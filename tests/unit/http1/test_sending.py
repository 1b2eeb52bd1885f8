"""Answers whose body comes piece by piece: backpressure, and a cut wherever it is not the whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from fileloft_fast.errors import RemoteUnavailableError
from fileloft_fast.http1.site import Patience
from fileloft_fast.model import ByteStream, Response
from tests.native.yard import reset
from tests.unit.http1.teller import Teller, connected, served

if TYPE_CHECKING:
    import socket

    from fileloft_fast.http1.site import Site

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
UNAVAILABLE = Response(503, body=b"later\n", close=True)
PIECE = b"p" * 65536

Play = Callable[["Source", "Site", "socket.socket"], Coroutine[Any, Any, None]]


class Source:
    """Pieces, then *failure* if there is one; counts what was asked for and knows its end."""

    def __init__(self, *pieces: bytes, failure: Exception | None = None) -> None:
        self.asked = 0
        self.closed = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self._pieces = pieces
        self._failure = failure

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                self.asked += 1
                await self.gate.wait()
                yield piece
            if self._failure is not None:
                raise self._failure
        finally:
            self.closed.set()


def play(scene: Play, length: int, *pieces: bytes, **more: Any) -> None:
    """Run *scene* against a server that answers with a stream of *pieces*."""

    async def run() -> None:
        source = Source(*pieces, failure=more.get("failure"))
        teller = Teller(Response(200, body=ByteStream(length, source.pieces())), UNAVAILABLE)
        async with asyncio.timeout(60), served(teller, more.get("patience")) as (site, address):
            with await connected(address, more.get("receive_buffer")) as client:
                await scene(source, site, client)
            while site.tasks:  # noqa: ASYNC110 - the site has no event
                await asyncio.sleep(0)

    uvloop.run(run())


async def send(client: socket.socket, request: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, request)


async def read_to_end(client: socket.socket) -> bytes:
    received = b""
    while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
        received += data
    return received


def test_a_stream_is_sent_as_the_body_and_closed() -> None:
    async def scene(source: Source, __: Site, client: socket.socket) -> None:
        await send(client, LAST_GET)
        head, _, body = (await read_to_end(client)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nContent-Length: 7\r\n" in head
        assert body == b"one two"
        assert source.closed.is_set()

    play(scene, 7, b"one", b"", b" two")


def test_the_connection_is_kept_after_a_stream() -> None:
    async def scene(_: Source, site: Site, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await send(client, GET)
        received = b""
        while not received.endswith(b"one two"):
            received += await loop.sock_recv(client, 1000)
        assert b"Connection: close" not in received
        assert isinstance(site.answerer, Teller)
        site.answerer.response = Response(204, close=True)
        await send(client, GET)
        assert (await read_to_end(client)).startswith(b"HTTP/1.1 204 ")

    play(scene, 7, b"one", b" two")


def test_http_1_0_gets_the_length_and_the_end() -> None:
    async def scene(_: Source, __: Site, client: socket.socket) -> None:
        await send(client, b"GET / HTTP/1.0\r\n\r\n")
        received = await read_to_end(client)
        assert b"\r\nContent-Length: 7\r\n" in received
        assert received.endswith(b"\r\n\r\none two")

    play(scene, 7, b"one", b" two")


@pytest.mark.parametrize(
    ("pieces", "failure"),
    [
        ([b"one"], None),
        ([b"one", b" two!"], None),
        ([], None),
        ([b"one"], RemoteUnavailableError("the store is down")),
        ([b"one"], RuntimeError("a bug")),
    ],
)
def test_what_is_not_the_whole_ends_in_a_cut(pieces: list[bytes], failure: Exception) -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(client, GET)
        try:
            received = await read_to_end(client)
        except ConnectionResetError:
            received = b""
        assert len(received.partition(b"\r\n\r\n")[2]) < 7
        await source.closed.wait()
        assert not site.connections

    play(scene, 7, *pieces, failure=failure)


def test_a_stream_that_fails_before_its_first_byte_is_an_answer() -> None:
    async def scene(source: Source, _: Site, client: socket.socket) -> None:
        await send(client, GET)
        received = await read_to_end(client)
        assert received.startswith(b"HTTP/1.1 503 ")
        assert received.endswith(b"\r\n\r\nlater\n")
        assert source.closed.is_set()

    play(scene, 7, failure=RemoteUnavailableError("the store is down"))


def test_head_opens_nothing() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(
            client,
            GET.replace(b"GET", b"HEAD").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        )
        received = await read_to_end(client)
        assert b"\r\nContent-Length: 7\r\n" in received
        assert received.endswith(b"\r\n\r\n")
        assert source.asked == 0
        assert isinstance(site.answerer, Teller)
        body = site.answerer.response.body
        assert isinstance(body, ByteStream)
        with pytest.raises(StopAsyncIteration):  # closed, although it was never begun
            await anext(body.pieces)

    play(scene, 7, b"one", b" two")


def test_no_more_is_asked_for_than_the_client_reads() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        await send(client, LAST_GET)
        (connection,) = await some(site)
        while connection._writable is None:  # noqa: ASYNC110 - private, and without an event
            await asyncio.sleep(0)
        asked = source.asked
        assert asked < 200
        for _ in range(100):
            await asyncio.sleep(0)
        assert source.asked == asked
        body = (await read_to_end(client)).partition(b"\r\n\r\n")[2]
        assert body == PIECE * 400

    play(scene, 400 * len(PIECE), *[PIECE] * 400, receive_buffer=65536)


async def some(site: Site) -> list[Any]:
    """Wait for the server's side of a connection."""
    while not site.connections:  # noqa: ASYNC110 - the site has no event
        await asyncio.sleep(0)
    return list(site.connections)


@pytest.mark.parametrize("fair", [True, False])
def test_only_a_client_that_reads_too_little_is_given_up(*, fair: bool) -> None:
    patience = Patience(body_s=1.0, min_rate_bytes_per_s=1000)
    body = PIECE * 256  # more than the kernel takes in one go: up to 4 MiB, where it is generous

    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        await send(client, LAST_GET)
        (connection,) = await some(site)
        while connection._writable is None:  # noqa: ASYNC110 - private, and without an event
            await asyncio.sleep(0)
        unsent, received = connection._unsent, 0
        while fair and connection._transport.get_write_buffer_size() > unsent - 1000:
            received += len(await loop.sock_recv(client, 65536))
        connection.check(loop.time() + 0.9)
        assert connection in site.connections
        connection.check(loop.time() + 1.1)
        if fair:
            assert received + len(await read_to_end(client)) > len(body)
        else:
            await source.closed.wait()
            assert not site.connections

    play(scene, len(body), body, patience=patience, receive_buffer=65536)


def test_a_client_that_leaves_ends_the_wait_for_the_store() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        source.gate.clear()
        await send(client, GET)
        while not source.asked:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0)
        reset(client)
        await source.closed.wait()
        while site.connections or site.tasks:  # noqa: ASYNC110 - the site has no event
            await asyncio.sleep(0)

    play(scene, 7, b"one", b" two")


def test_a_drain_waits_for_a_stream() -> None:
    async def scene(source: Source, site: Site, client: socket.socket) -> None:
        source.gate.clear()
        await send(client, GET)
        while not source.asked:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0)
        site.drain()
        assert not site.emptied.is_set()
        source.gate.set()
        assert (await read_to_end(client)).endswith(b"one two")

    play(scene, 7, b"one", b" two")
