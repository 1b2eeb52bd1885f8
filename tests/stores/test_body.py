"""Bodies as aiohttp's clients send them: in pieces, and again where they must."""

from __future__ import annotations

import asyncio
import errno
import os
import select
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest
import uvloop

from fileloft_fast.errors import StoreError
from fileloft_fast.stores.remote.body import PIECE_BYTES, PieceBody, read_range
from fileloft_fast.stores.remote.objects import Piece
from tests.stores.stub import RESET, Answer, Rude, Stub

if TYPE_CHECKING:
    import socket

    from tests.stores.pieces import Source

MIB: Final = 1024**2


def send(url: str, body: PieceBody) -> int:
    """PUT *body* and return the status."""

    async def sending() -> int:
        async with aiohttp.ClientSession() as session, session.put(url, data=body) as answer:
            return answer.status

    return uvloop.run(sending())


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * MIB])
def test_a_piece_and_bytes_arrive_whole_and_with_their_length(source: Source, size: int) -> None:
    content = source.fill(size + 10)[5 : size + 5]
    with Stub(lambda _: Answer()) as stub:
        assert send(stub.url, PieceBody(source.piece(5, size))) == 200
        assert send(stub.url, PieceBody(content)) == 200
    for asked in stub.asked:
        assert asked.body == content
        assert asked.headers["content-length"] == str(size)
        assert "transfer-encoding" not in asked.headers


def test_a_body_is_sent_again_from_its_beginning(source: Source) -> None:
    content = source.fill(MIB)
    answers = iter([RESET, Answer()])
    body = PieceBody(source.piece(0, MIB))
    with Stub(lambda _: next(answers)) as stub:
        assert send(stub.url, body) == 200
    assert [asked.body for asked in stub.asked] == [content, content]
    assert body.sendings == 2


def test_a_body_is_a_file_to_those_who_want_to_hash_it(source: Source) -> None:
    content = source.fill(1000)
    for body in (PieceBody(source.piece(100, 500)), PieceBody(content[100:600])):
        assert len(body) == 500
        assert (body.read(10), body.tell(), body.read(), body.read()) == (
            content[100:110],
            10,
            content[110:600],
            b"",
        )
        assert (body.seek(-5, os.SEEK_END), body.read(100)) == (495, content[595:600])
        assert (body.seek(0), body.read(None)) == (0, content[100:600])


def test_a_peer_that_takes_nothing_is_left_and_little_is_read_for_it(source: Source) -> None:
    os.truncate(source.descriptor, 256 * MIB)
    piece = Piece(source.descriptor, 0, 256 * MIB, 0)
    read: list[int] = []

    async def counted(descriptor: int, length: int, offset: int) -> bytes | bytearray:
        read.append(length)
        return await read_range(descriptor, length, offset)

    with Rude(_wait_for_the_end) as rude, pytest.raises(TimeoutError):
        send(rude.url, PieceBody(piece, read=counted, stall_s=0.3))
    in_the_kernel = sum(map(_largest_buffer, ("tcp_wmem", "tcp_rmem")))
    assert sum(read) <= in_the_kernel + MIB


def test_each_piece_waits_for_its_turn(source: Source) -> None:
    source.fill(MIB)
    turns: list[int] = []

    class Turns:
        async def take(self, size: int) -> None:
            assert len(read) == len(turns)
            turns.append(size)

    read: list[int] = []

    async def counted(descriptor: int, length: int, offset: int) -> bytes | bytearray:
        read.append(length)
        return await read_range(descriptor, length, offset)

    with Stub(lambda _: Answer()) as stub:
        send(stub.url, PieceBody(source.piece(0, MIB), pace=Turns(), read=counted))
    assert turns == read == [PIECE_BYTES] * (MIB // PIECE_BYTES)


def test_nothing_is_read_once_the_request_has_ended(source: Source) -> None:
    source.fill(MIB)
    read: list[int] = []

    async def counted(descriptor: int, length: int, offset: int) -> bytes | bytearray:
        read.append(length)
        return await read_range(descriptor, length, offset)

    body = PieceBody(source.piece(0, MIB), read=counted)
    with body:
        pass
    with Stub(lambda _: Answer()) as stub, pytest.raises(aiohttp.ClientError):
        send(stub.url, body)
    assert read == []
    assert stub.asked == []


def test_nothing_is_sent_that_was_read_after_the_request_had_ended(source: Source) -> None:
    source.fill(MIB)

    async def late(descriptor: int, length: int, offset: int) -> bytes | bytearray:
        with body:
            pass
        return await read_range(descriptor, length, offset)

    body = PieceBody(source.piece(0, MIB), read=late)
    with Rude(_count) as rude, pytest.raises(aiohttp.ClientError):
        send(rude.url, body)
    assert rude.received < 1000  # of the head, if that


def test_a_file_that_fails_is_told_from_a_network_that_does(source: Source) -> None:
    source.fill(MIB)

    async def failing(*_: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Stub(lambda _: Answer()) as stub:
        with (
            pytest.raises(StoreError, match="Input/output error"),
            PieceBody(source.piece(0, MIB), read=failing) as body,
        ):
            send(stub.url, body)
        with (
            pytest.raises(StoreError, match="shorter"),
            PieceBody(Piece(source.descriptor, 1, MIB, 0)) as body,
        ):
            send(stub.url, body)
    with pytest.raises(aiohttp.ClientError), PieceBody(source.piece(0, MIB)) as body:
        send("http://127.0.0.1:1", body)


@pytest.mark.parametrize("known", [errno.EAGAIN, errno.EOPNOTSUPP, 0])
def test_what_is_not_in_memory_is_read_by_a_thread(
    source: Source, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    content = source.fill(100_000)

    def read_a_little(descriptor: int, buffers: Any, *_: int) -> int:
        if known:
            raise OSError(known, os.strerror(known))
        return os.readv(descriptor, [memoryview(buffers[0])[:10]])

    monkeypatch.setattr(os, "preadv", read_a_little)
    assert asyncio.run(_read(source.descriptor, 50_000, 1000)) == content[1000:51_000]
    assert asyncio.run(_read(source.descriptor, 50_000, 99_000)) == content[99_000:]


def test_a_range_is_read_as_it_is_and_an_error_is_an_error(source: Source) -> None:
    content = source.fill(100_000)
    assert asyncio.run(_read(source.descriptor, 50_000, 1000)) == content[1000:51_000]
    assert asyncio.run(_read(source.descriptor, 50_000, 99_000)) == content[99_000:]
    with pytest.raises(OSError, match="Bad file descriptor"):
        asyncio.run(_read(-1, 10, 0))


def _count(connection: socket.socket) -> int:
    return sum(map(len, iter(partial(connection.recv, 65536), b"")))


def _wait_for_the_end(connection: socket.socket) -> int:

    over = select.poll()
    over.register(connection, select.POLLRDHUP)
    over.poll(10_000)
    return 0


async def _read(descriptor: int, length: int, offset: int) -> bytes | bytearray:
    return await read_range(descriptor, length, offset)


def _largest_buffer(name: str) -> int:

    return int(Path(f"/proc/sys/net/ipv4/{name}").read_text().split()[2])
