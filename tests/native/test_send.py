from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from tests.native.yard import Yard, body, reset

LARGE = 30_000_000
"""More than the socket buffers of both ends hold."""


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 5_000_000), (0, 1), (4_999_999, 1), (1234, 4_000_000), (5_000_000, 0), (7, 0)],
)
@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 206 Partial Content\r\n\r\n"])
async def test_a_range_follows_its_head(yard: Yard, offset: int, length: int, head: bytes) -> None:
    data = body(5_000_000)
    file = yard.file(contents=data)
    client, server = yard.connection()
    transfer = yard.engine.send(server.fileno(), file, offset, length, head=head)
    expected = head + data[offset : offset + length]
    assert await yard.received(client, len(expected)) == expected
    assert await yard.over(transfer) == (length, 0)
    server.close()
    assert await yard.received(client, 1) == b""


async def test_a_head_larger_than_the_socket_buffer(yard: Yard) -> None:
    file = yard.file(contents=b"body")
    client, server = yard.connection()
    head = body(LARGE)
    transfer = yard.engine.send(server.fileno(), file, 0, 4, head=head)
    assert await yard.received(client, LARGE + 4) == head + b"body"
    assert await yard.over(transfer) == (4, 0)


async def test_a_slow_reader_gets_every_byte(yard: Yard) -> None:
    data = body(LARGE)
    file = yard.file(contents=data)
    client, server = yard.connection()
    transfer = yard.engine.send(server.fileno(), file, 0, LARGE, head=b"head", idle_ms=10_000)
    await yard.until(lambda: 0 < transfer.moved < LARGE)
    assert not transfer.done.done()
    found = await yard.received(client, 4 + 1000)
    while len(found) < 4 + LARGE:
        found += await yard.received(client, min(3_000_001, 4 + LARGE - len(found)))
        assert await transfer.progress() <= LARGE
    assert found == b"head" + data
    assert await yard.over(transfer) == (LARGE, 0)


async def test_a_reader_that_goes_away_ends_it(yard: Yard) -> None:
    file = yard.file(contents=bytes(LARGE))
    client, server = yard.connection()
    transfer = yard.engine.send(server.fileno(), file, 0, LARGE)
    await yard.received(client, 1000)
    reset(client)
    moved, number = await yard.over(transfer)
    assert 1000 <= moved < LARGE
    assert number in (errno.ECONNRESET, errno.EPIPE)


async def test_a_reader_that_is_gone_already(yard: Yard) -> None:
    file = yard.file(contents=bytes(LARGE))
    client, server = yard.connection()
    server.shutdown(socket.SHUT_WR)
    transfer = yard.engine.send(server.fileno(), file, 0, LARGE, head=b"head")
    assert await yard.over(transfer) == (0, errno.EPIPE)
    assert await yard.received(client, 1) == b""


async def test_a_reader_that_stops_reading_is_a_timeout(yard: Yard) -> None:
    file = yard.file(contents=bytes(LARGE))
    _, server = yard.connection()
    transfer = yard.engine.send(server.fileno(), file, 0, LARGE, idle_ms=100)
    moved, number = await yard.over(transfer)
    assert 0 < moved < LARGE
    assert number == errno.ETIMEDOUT


async def test_a_reader_below_the_minimum_rate_is_a_timeout(yard: Yard) -> None:
    file = yard.file(contents=bytes(LARGE))
    client, server = yard.connection()
    transfer = yard.engine.send(
        server.fileno(), file, 0, LARGE, idle_ms=400, min_rate=1_000_000_000_000
    )
    await yard.until(lambda: transfer.moved)
    began = yard.loop.time()
    read = 0
    while not transfer.done.done():
        if read <= (yard.loop.time() - began) * 10_000_000:  # never idle, and far from the end
            read += len(await yard.received(client, 200_000))
        await asyncio.sleep(0)
    moved, number = await yard.over(transfer)
    assert read <= moved + 200_000 < LARGE
    assert number == errno.ETIMEDOUT


async def test_a_cancel_stops_where_it_is(yard: Yard) -> None:
    data = body(LARGE)
    file = yard.file(contents=data)
    client, server = yard.connection()
    transfer = yard.engine.send(server.fileno(), file, 0, LARGE)
    await yard.until(lambda: transfer.moved)
    transfer.cancel()
    moved, number = await yard.over(transfer)
    assert number == errno.ECANCELED
    server.close()
    assert await yard.received(client, LARGE) == data[:moved]


async def test_a_file_that_shrank_is_an_error(yard: Yard) -> None:
    file = yard.file(contents=b"short")
    client, server = yard.connection()
    transfer = yard.engine.send(server.fileno(), file, 0, 10, head=b"head")
    assert await yard.over(transfer) == (5, errno.EIO)
    server.close()
    assert await yard.received(client, 100) == b"headshort"


async def test_many_readers_share_one_file(yard: Yard) -> None:
    data = body(1_000_000)
    file = yard.file(contents=data)

    async def read_one(number: int) -> None:
        client, server = yard.connection()
        transfer = yard.engine.send(server.fileno(), file, number, len(data) - number)
        assert await yard.received(client, len(data) - number) == data[number:]
        assert await yard.over(transfer) == (len(data) - number, 0)

    await asyncio.gather(*(read_one(number) for number in range(50)))
