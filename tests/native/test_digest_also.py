"""A digest that is fed with another one, in the same pass."""

from __future__ import annotations

import errno
import gc
import resource
import threading
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import Digest, digest_of
from tests.native.yard import Yard, body, pieces, reset, soft_limit

if TYPE_CHECKING:
    import asyncio

LARGE: Final = 3_000_000
PAIRS: Final = pytest.mark.parametrize(
    ("first", "second"),
    [("sha256", "sha512"), ("crc32c", "sha256"), ("sha1", "xxh128"), ("sha256", "sha256")],
)


@PAIRS
@given(data=st.lists(st.binary(max_size=300), max_size=8))
def test_both_see_every_byte(first: str, second: str, data: list[bytes]) -> None:
    other = Digest(second)
    running = Digest(first, also=other)
    assert running.also is other
    assert other.also is None
    for piece in data:
        running.update(piece)
    assert running.digest() == digest_of(first, b"".join(data))
    assert other.digest() == digest_of(second, b"".join(data))


@PAIRS
@pytest.mark.parametrize("length", [16383, 16384, 32767, 32768, 32769, 300_000])
def test_long_input_is_shared_around_the_thresholds(first: str, second: str, length: int) -> None:
    data = body(length)
    other = Digest(second)
    running = Digest(first, other)
    running.update(data)
    assert running.digest() == digest_of(first, data)
    assert other.digest() == digest_of(second, data)


def test_what_is_fed_goes_on_where_it_was_and_may_be_fed_alone() -> None:
    whole = Digest("sha256")
    for part in (b"one", b"two"):
        request = Digest("sha256", also=whole)
        request.update(part)
        assert request.digest() == digest_of("sha256", part)
    whole.update(b"three")
    assert whole.digest() == digest_of("sha256", b"onetwothree")


def test_a_reset_is_of_one_alone() -> None:
    whole = Digest("sha512")
    request = Digest("sha256", also=whole)
    request.update(b"one")
    request.reset()
    request.update(b"two")
    assert request.digest() == digest_of("sha256", b"two")
    assert whole.digest() == digest_of("sha512", b"onetwo")


def test_a_restored_digest_takes_another_along_and_three_are_a_chain() -> None:
    kept = Digest("sha512")
    kept.update(b"one")
    last = Digest("crc32c")
    wide = Digest.restored("sha512", kept.state(), also=last)
    first = Digest("sha256", also=wide)
    first.update(b"two" * 50_000)
    assert first.digest() == digest_of("sha256", b"two" * 50_000)
    assert wide.digest() == digest_of("sha512", b"one" + b"two" * 50_000)
    assert last.digest() == digest_of("crc32c", b"two" * 50_000)


def test_what_is_fed_lives_as_long_as_what_feeds_it() -> None:
    running = Digest("sha256", also=Digest("sha512"))
    gc.collect()
    running.update(bytes(100_000))
    assert running.also is not None
    assert running.also.digest() == digest_of("sha512", bytes(100_000))


def test_what_was_never_initialised_is_not_fed() -> None:
    with pytest.raises(RuntimeError):
        Digest("sha256", also=Digest.__new__(Digest))
    with pytest.raises(TypeError):
        Digest("sha256", also=b"sha512")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        Digest("sha256").also = Digest("sha512")  # type: ignore[misc]


def test_both_are_refused_while_a_thread_feeds_them() -> None:
    other = Digest("sha512")
    running = Digest("sha256", also=other)
    data = bytes(32 << 20)
    refused: set[str] = set()
    finished = threading.Event()

    def meddle() -> None:
        while not finished.is_set():
            for one in (running, other):
                try:
                    one.state()
                except RuntimeError:
                    refused.add(one.algorithm)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    running.update(data)
    finished.set()
    meddler.join()
    assert refused == {"sha256", "sha512"}
    assert running.digest() == digest_of("sha256", data)
    assert other.digest() == digest_of("sha512", data)


async def test_a_write_feeds_both_what_was_stored(yard: Yard) -> None:
    file = yard.file()
    other = Digest("sha512")
    running = Digest("sha256", also=other)
    data = body(300_000)
    assert await yard.engine.write(file, data[:100_000], 0, running) == 100_000
    assert await yard.engine.write(file, data[100_000:], 100_000, running) == 200_000
    with soft_limit(resource.RLIMIT_FSIZE, 300_005), pytest.raises(OSError):
        await yard.engine.write(file, b"0123456789", 300_000, running)
    assert running.digest() == digest_of("sha256", data + b"01234")
    assert other.digest() == digest_of("sha512", data + b"01234")


@pytest.mark.parametrize("seed", range(3))
async def test_a_transfer_feeds_both_wherever_the_network_cuts(yard: Yard, seed: int) -> None:
    data = body(LARGE, seed)
    file = yard.file()
    client, server = yard.connection()
    other = Digest("sha512")
    running = Digest("sha256", also=other)
    transfer = yard.engine.receive(
        server.fileno(), file, 0, LARGE, prefix=data[:70_000], digest=running
    )
    for piece in pieces(data[70_000:], seed, 600_000):
        await yard.sent(client, piece)
    assert await yard.over(transfer) == (LARGE, 0)
    assert yard.read() == data
    assert running.digest() == digest_of("sha256", data)
    assert other.digest() == digest_of("sha512", data)


async def test_after_a_reset_of_the_connection_both_have_seen_what_was_stored(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    other = Digest("sha512")
    running = Digest("crc32c", also=other)
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=running)
    await yard.sent(client, body(LARGE)[:700_000])
    await yard.arrived(server, transfer, 700_000)
    reset(client)
    moved, error = await yard.over(transfer)
    assert error == errno.ECONNRESET
    assert running.digest() == digest_of("crc32c", yard.read()[:moved])
    assert other.digest() == digest_of("sha512", yard.read()[:moved])


async def test_both_are_refused_while_the_engine_has_them(yard: Yard) -> None:
    file = yard.file()
    client, server = yard.connection()
    other = Digest("sha512")
    running = Digest("sha256", also=other)
    transfer = yard.engine.receive(server.fileno(), file, 0, LARGE, digest=running)
    for use in (
        other.state,
        other.digest,
        other.reset,
        lambda: other.update(b"x"),
        running.digest,
        lambda: Digest("md5", also=other),
        lambda: yard.engine.write(file, b"x", 0, other),
        lambda: yard.engine.receive(server.fileno(), file, 0, LARGE, digest=other),
    ):
        with pytest.raises(RuntimeError):
            use()
    await yard.sent(client, b"abc")
    client.close()
    await transfer.done
    assert other.digest() == digest_of("sha512", b"abc")
    pending: asyncio.Future[int] = yard.engine.write(file, bytes(1 << 20), 0, running)
    with pytest.raises(RuntimeError):
        other.state()
    await pending
    assert other.digest() == digest_of("sha512", b"abc" + bytes(1 << 20))


async def test_one_that_is_busy_by_another_hand_is_not_fed(yard: Yard) -> None:
    file = yard.file()
    other = Digest("sha512")
    first = Digest("sha256", also=other)
    second = Digest("sha1", also=other)
    pending: asyncio.Future[int] = yard.engine.write(file, bytes(1 << 20), 0, first)
    with pytest.raises(RuntimeError):
        second.update(b"x")
    with pytest.raises(RuntimeError):
        await yard.engine.write(file, b"x", 0, second)
    await pending
    second.update(b"x")
    assert other.digest() == digest_of("sha512", bytes(1 << 20) + b"x")
