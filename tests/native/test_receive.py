from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.dataplane import Digest, digest_of
from tests.native.yard import Yard, body, pieces, reset, soft_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from fileloft_fast.dataplane import Transfer

CHECKED = pytest.mark.parametrize("algorithm", [None, "sha1", "crc32c"])
BELOW_LOW_WATER = 1000
LARGE = 3_000_000


def digest(algorithm: str | None) -> Digest | None:
    return Digest(algorithm) if algorithm else None


@CHECKED
async def test_exactly_the_body_is_read_and_the_next_request_stays(
    yard: Yard, algorithm: str | None
) -> None:
    file = yard.file(contents=b"0123")
    client, server = yard.connection()
    running = digest(algorithm)
    transfer = yard.engine.receive(server.fileno(), file, 4, LARGE, digest=running)
    await yard.sent(client, body(LARGE) + b"PATCH /next")
    assert await yard.over(transfer) == (LARGE, 0)
    assert yard.read() == b"0123" + body(LARGE)
    assert await yard.received(server, 11) == b"PATCH /next"
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    if running is not None and algorithm is not None:
        assert running.digest() == digest_of(algorithm, body(LARGE))


@CHECKED
@pytest.mark.parametrize("seed", range(4))
async def test_where_the_network_cuts_does_not_matter(
    yard: Yard, algorithm: str | None, seed: int
) -> None:
    data = body(400_000, seed)
    file = yard.file()
    client, server = yard.connection()
    running = digest(algorithm)
    transfer = yard.engine.receive(server.fileno(), file, 0, len(data), digest=running)
    for piece in pieces(data, seed, 30_000):
        await yard.sent(client, piece)
        if seed % 2:
            await transfer.progress()
    assert await yard.over(transfer) == (len(data), 0)
    assert yard.read() == data
    if running is not None and algorithm is not None:
        assert running.digest() == digest_of(algorithm, data)


@CHECKED
async def test_the_prefix_goes_first(yard: Yard, algorithm: str | None) -> None:
    file = yard.file()
    client, server = yard.connection()
    data = body(LARGE)
    running = digest(algorithm)
    transfer = yard.engine.receive(
        server.fileno(), file, 0, LARGE, prefix=data[:70_000], digest=running
    )
    await yard.until(lambda: transfer.moved == 70_000)  # without a byte from the socket
    await yard.sent(client, data[70_000:] + b"next")
    assert await yard.over(transfer) == (LARGE, 0)
    assert yard.read() == data
    assert await yard.received(server, 4) == b"next"
    if running is not None and algorithm is not None:
        assert running.digest() == digest_of(algorithm, data)


@pytest.mark.parametrize("prefix", [b"", b"all there is"])
async def test_a_body_that_is_already_there_needs_no_socket(yard: Yard, prefix: bytes) -> None:
    file = yard.file()
    _, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, len(prefix), prefix=prefix)
    assert await yard.over(transfer) == (len(prefix), 0)
    assert yard.read() == prefix


@CHECKED
@pytest.mark.parametrize("length", [0, BELOW_LOW_WATER, LARGE])
async def test_a_fin_before_the_end_keeps_what_came(
    yard: Yard, algorithm: str | None, length: int
) -> None:
    file = yard.file()
    client, server = yard.connection()
    running = digest(algorithm)
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE + 1, digest=running)
    await yard.sent(client, body(LARGE)[:length])
    client.close()
    assert await yard.over(transfer) == (length, 0)
    assert yard.read() == body(LARGE)[:length]
    if running is not None and algorithm is not None:
        assert running.digest() == digest_of(algorithm, body(LARGE)[:length])


@CHECKED
async def test_a_reset_keeps_what_came_also_below_the_low_water_mark(
    yard: Yard, algorithm: str | None
) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=digest(algorithm))
    await yard.sent(client, body(BELOW_LOW_WATER))
    await yard.arrived(server, transfer, BELOW_LOW_WATER)
    reset(client)
    assert await yard.over(transfer) == (BELOW_LOW_WATER, errno.ECONNRESET)
    assert yard.read() == body(BELOW_LOW_WATER)


@CHECKED
@pytest.mark.parametrize("length", [0, BELOW_LOW_WATER, 60_000])
async def test_a_cancel_keeps_every_byte_that_was_sent_before(
    yard: Yard, algorithm: str | None, length: int
) -> None:
    file = yard.file()
    client, server = yard.connection()
    running = digest(algorithm)
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=running)
    await yard.sent(client, body(LARGE)[:length])
    await yard.arrived(server, transfer, length)
    transfer.cancel()
    transfer.cancel()
    assert await yard.over(transfer) == (length, errno.ECANCELED)
    assert yard.read() == body(LARGE)[:length]
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == 1
    transfer.cancel()
    if running is not None and algorithm is not None:
        assert running.digest() == digest_of(algorithm, body(LARGE)[:length])


async def test_a_cancel_keeps_the_prefix(yard: Yard) -> None:
    file = yard.file()
    _, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, prefix=b"first")
    transfer.cancel()
    assert await yard.over(transfer) == (5, errno.ECANCELED)
    assert yard.read() == b"first"


async def test_a_cancel_after_the_last_byte_is_a_success(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, 20_000)
    await yard.sent(client, body(20_000) + b"next")
    await yard.arrived(server, transfer, 20_000)
    transfer.cancel()
    assert await yard.over(transfer) == (20_000, 0)
    assert await yard.received(server, 4) == b"next"


@CHECKED
async def test_progress_stores_what_is_queued_below_the_low_water_mark(
    yard: Yard, algorithm: str | None
) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=digest(algorithm))
    total = 0
    for length in (1, BELOW_LOW_WATER, 20_000, 0):
        await yard.sent(client, body(length))
        total += length
        await yard.arrived(server, transfer, total)
        both = await asyncio.gather(transfer.progress(), transfer.progress())
        assert list(both) == [total, total]
        assert transfer.moved == total
        assert (yard.root / "data").stat().st_size == total
    transfer.cancel()
    assert await transfer.progress() == total
    await transfer.done
    assert await transfer.progress() == total


@pytest.mark.parametrize("waiter_leaves", [False, True])
async def test_progress_is_answered_when_the_transfer_ends(
    yard: Yard, *, waiter_leaves: bool
) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE)
    await yard.sent(client, body(LARGE)[:500_000])
    asked = [transfer.progress() for _ in range(50)]
    client.close()
    if waiter_leaves:
        asked[7].cancel()
        del asked[7]
    assert await yard.over(transfer) == (500_000, 0)
    assert all(moved <= 500_000 for moved in await asyncio.gather(*asked))


async def test_a_byte_now_and_then_is_progress_and_silence_is_not(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, idle_ms=600)
    began = yard.loop.time()
    count = 0
    while yard.loop.time() - began < 1.2:
        await yard.sent(client, b"x")
        count += 1
        await yard.moved(transfer, count)
    assert not transfer.done.done()
    assert await yard.over(transfer) == (count, errno.ETIMEDOUT)


async def test_less_than_the_minimum_rate_is_a_timeout(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, idle_ms=200, min_rate=1_000_000)
    count = 0
    while not transfer.done.done():
        await yard.sent(client, b"x")
        count += 1
        await yard.moved(transfer, count)
    moved, number = await yard.over(transfer)
    assert number == errno.ETIMEDOUT
    assert moved in (count, count - 1)


async def test_the_minimum_rate_is_met(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, idle_ms=600, min_rate=100)
    began = yard.loop.time()
    count = 0
    while yard.loop.time() - began < 1.2:
        await yard.sent(client, bytes(100))
        count += 100
        await yard.moved(transfer, count)
    assert not transfer.done.done()
    transfer.cancel()
    assert await yard.over(transfer) == (count, errno.ECANCELED)


@CHECKED
async def test_a_full_disk_in_the_middle_counts_what_is_stored_and_soils_no_other_upload(
    yard: Yard, algorithm: str | None
) -> None:
    engine = yard.new_engine(transfer_threads=1)  # so that the next upload gets the same pipe
    room = 1_000_123
    first, second = yard.file("first"), yard.file("second")
    client, server = yard.connection()
    running = digest(algorithm)
    with soft_limit(resource.RLIMIT_FSIZE, room):
        transfer = engine.receive(server.fileno(), first, 0, LARGE, digest=running)
        sending = asyncio.ensure_future(yard.sent(client, body(LARGE)))
        assert await yard.over(transfer) == (room, errno.EFBIG)
    reset(server)
    await asyncio.gather(sending, return_exceptions=True)  # the rest may fit into the buffers
    assert yard.read("first") == body(LARGE)[:room]
    if running is not None and algorithm is not None:
        assert running.digest() == digest_of(algorithm, body(LARGE)[:room])
    client, server = yard.connection()
    transfer = engine.receive(server.fileno(), second, 0, LARGE, digest=digest(algorithm))
    await yard.sent(client, body(LARGE, seed=2))
    assert await yard.over(transfer) == (LARGE, 0)
    assert yard.read("second") == body(LARGE, seed=2)


async def test_a_disk_full_at_the_prefix(yard: Yard) -> None:
    file = yard.file()
    _, server = yard.connection()
    with soft_limit(resource.RLIMIT_FSIZE, 100):
        transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, prefix=body(1000))
        assert await yard.over(transfer) == (100, errno.EFBIG)
    assert yard.read() == body(1000)[:100]


async def test_a_file_that_refuses_splice_loses_nothing_that_is_in_the_pipe(yard: Yard) -> None:
    file = yard.file(flags=os.O_APPEND)
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE)
    await yard.sent(client, body(LARGE))
    assert await yard.over(transfer) == (LARGE, 0)
    assert yard.read() == body(LARGE)


async def test_a_file_that_cannot_be_written(yard: Yard) -> None:
    yard.write("data", b"")
    file = os.open(yard.root / "data", os.O_RDONLY)
    yard.stack.callback(os.close, file)
    client, server = yard.connection()
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE)
    await yard.sent(client, b"x")
    await transfer.progress()
    assert await yard.over(transfer) == (0, errno.EBADF)


@CHECKED
async def test_a_unix_socket_is_as_good(yard: Yard, algorithm: str | None) -> None:
    file = yard.file()
    client, server = socket.socketpair()
    for end in (client, server):
        end.settimeout(0)
        yard.stack.callback(end.close)
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=digest(algorithm))
    await yard.sent(client, body(LARGE) + b"next")
    assert await yard.over(transfer) == (LARGE, 0)
    assert yard.read() == body(LARGE)
    assert await yard.received(server, 4) == b"next"


@CHECKED
async def test_writeback_while_bytes_arrive(yard: Yard, algorithm: str | None) -> None:
    file = yard.file()
    client, server = yard.connection()
    length = 20_000_000
    transfer = yard.engine.receive(
        server.fileno(), file, 0, length, writeback=True, digest=digest(algorithm)
    )
    await yard.sent(client, bytes(length))
    assert await yard.over(transfer) == (length, 0)


async def test_one_socket_after_another_upload(yard: Yard) -> None:
    client, server = yard.connection()
    for number in range(20):
        file = yard.file(str(number))
        data = body(100_000, number)
        await yard.sent(client, data)
        transfer = yard.engine.receive(server.fileno(), file, 0, len(data), prefix=b"")
        assert await yard.over(transfer) == (len(data), 0)
        assert yard.read(str(number)) == data


async def test_what_cannot_be_watched_is_refused_at_once(yard: Yard) -> None:
    file = yard.file()
    _, server = yard.connection()
    for sock, number in ((file, errno.EPERM), (1 << 20, errno.EBADF)):
        with pytest.raises(OSError) as raised:
            yard.engine.receive(sock, file, 0, 1)
        assert raised.value.errno == number
    running = Digest("md5")
    first = yard.engine.receive(server.fileno(), file, 0, 1)
    with pytest.raises(FileExistsError):
        yard.engine.receive(server.fileno(), file, 0, 1, digest=running)
    running.update(b"")  # not lent
    first.cancel()
    assert await yard.over(first) == (0, errno.ECANCELED)


async def test_arguments_that_make_no_sense_are_refused_at_once(yard: Yard) -> None:
    _, server = yard.connection()
    sock = server.fileno()
    uses: list[Callable[[], Transfer]] = [
        lambda: yard.engine.receive(sock, 0, -1, 1),
        lambda: yard.engine.receive(sock, 0, 0, -1),
        lambda: yard.engine.receive(sock, 0, 0, 1, idle_ms=-1),
        lambda: yard.engine.receive(sock, 0, 0, 1, min_rate=-1),
        lambda: yard.engine.receive(sock, 0, 0, 1, prefix=b"12"),
        lambda: yard.engine.send(sock, 0, -1, 1),
        lambda: yard.engine.send(sock, 0, 0, 1, min_rate=-1),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"negative|prefix"):
            use()


async def test_a_digest_is_refused_while_a_transfer_has_it(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    running = Digest("sha1")
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=running)
    with pytest.raises(RuntimeError):
        running.update(b"x")
    with pytest.raises(RuntimeError):
        running.digest()
    with pytest.raises(RuntimeError):
        running.reset()
    with pytest.raises(RuntimeError):
        yard.engine.receive(server.fileno(), file, 0, LARGE, digest=running)
    await yard.sent(client, b"abc")
    client.close()
    await transfer.done
    assert running.digest() == digest_of("sha1", b"abc")
