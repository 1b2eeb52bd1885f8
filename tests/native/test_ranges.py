from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast.dataplane import ALGORITHMS, Digest, digest_of
from tests.native.denial import run_denied
from tests.native.yard import Yard, body

if TYPE_CHECKING:
    from asyncio import Future
    from pathlib import Path

MIB = 1024 * 1024
HASHED_AT_ONCE = 256 * 1024
READ_QUICKLY = 64 * 1024


def stored_bytes(descriptor: int) -> int:
    """Return what the blocks of a file take on the disk."""
    return os.fstat(descriptor).st_blocks * 512


async def test_punch_frees_the_blocks_and_keeps_size_and_the_rest(yard: Yard) -> None:
    data = body(4 * MIB)
    file = yard.file(contents=data)
    os.fsync(file)
    before = stored_bytes(file)
    await yard.engine.punch(file, MIB, 2 * MIB)
    assert stored_bytes(file) == before - 2 * MIB
    assert yard.read() == data[:MIB] + bytes(2 * MIB) + data[3 * MIB :]


async def test_punch_zeroes_the_parts_of_blocks_at_both_ends(yard: Yard) -> None:
    data = body(5 * 4096)
    file = yard.file(contents=data)
    await yard.engine.punch(file, 100, 3 * 4096)
    end = 100 + 3 * 4096
    assert yard.read() == data[:100] + bytes(end - 100) + data[end:]


async def test_punch_beyond_the_end_does_not_extend_the_file(yard: Yard) -> None:
    file = yard.file(contents=b"12345")
    await yard.engine.punch(file, 3, MIB)
    await yard.engine.punch(file, 10 * MIB, MIB)
    assert yard.read() == b"123\0\0"


async def test_punch_again_and_of_a_hole_is_no_error(yard: Yard) -> None:
    file = yard.file()
    os.ftruncate(file, 4 * MIB)
    for _ in range(2):
        await yard.engine.punch(file, 0, 2 * MIB)
    assert stored_bytes(file) == 0


async def test_punches_of_one_file_run_at_once(yard: Yard) -> None:
    file = yard.file(contents=body(8 * MIB))
    await asyncio.gather(*(yard.engine.punch(file, n * MIB, MIB) for n in range(0, 8, 2)))
    data = body(8 * MIB)
    for n in range(8):
        expected = bytes(MIB) if n % 2 == 0 else data[n * MIB : (n + 1) * MIB]
        assert os.pread(file, MIB, n * MIB) == expected


def test_punch_tells_that_the_file_system_cannot(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        file = yard.file(contents=b"12345")
        with pytest.raises(OSError) as raised:
            await yard.engine.punch(file, 0, 5)
        assert raised.value.errno == errno.EOPNOTSUPP
        assert yard.read() == b"12345"

    run_denied(tmp_path, "fallocate", errno.EOPNOTSUPP, scenario)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "crc64nvme"])
@pytest.mark.parametrize("length", [0, 1, HASHED_AT_ONCE, HASHED_AT_ONCE + 1, 3 * MIB - 7])
async def test_checksum_is_that_of_exactly_the_range(
    yard: Yard, algorithm: str, length: int
) -> None:
    data = body(3 * MIB)
    file = yard.file(contents=data)
    expected = digest_of(algorithm, data[7 : 7 + length])
    assert await yard.engine.checksum(file, 7, length, algorithm) == expected


async def test_checksum_of_a_hole_is_that_of_zeros(yard: Yard) -> None:
    file = yard.file(contents=b"begin")
    os.ftruncate(file, 2 * MIB)
    expected = digest_of("crc32c", b"begin".ljust(2 * MIB, b"\0"))
    assert await yard.engine.checksum(file, 0, 2 * MIB, "crc32c") == expected


@pytest.mark.parametrize("start", [0, 1, 2 * MIB])
async def test_checksum_of_more_than_there_is_is_enodata(yard: Yard, start: int) -> None:
    file = yard.file(contents=body(MIB))
    with pytest.raises(OSError) as raised:
        await yard.engine.checksum(file, start, MIB + 1 - min(start, 1), "crc32c")
    assert raised.value.errno == errno.ENODATA


async def test_checksum_does_not_move_the_position_of_the_file(yard: Yard) -> None:
    file = yard.file(contents=b"12345")
    os.lseek(file, 2, os.SEEK_SET)
    await yard.engine.checksum(file, 0, 5, "md5")
    await yard.engine.read(file, 5, 0)
    assert os.lseek(file, 0, os.SEEK_CUR) == 2


async def test_an_unknown_algorithm_is_refused_at_once(yard: Yard) -> None:
    with pytest.raises(ValueError, match="unknown checksum algorithm"):
        await yard.engine.checksum(yard.file(), 0, 0, "sha3")


async def test_a_digest_goes_on_with_a_range_and_takes_another_along(yard: Yard) -> None:
    data = body(2 * MIB)
    file = yard.file(contents=data)
    whole = Digest("sha512")
    whole.update(data[:1000])
    running = Digest.restored("sha512", whole.state(), also=Digest("sha256"))
    pending = yard.engine.checksum(file, 1000, MIB, running)
    for use in (running.digest, lambda: yard.engine.checksum(file, 0, 1, running)):
        with pytest.raises(RuntimeError):
            use()
    assert await pending == running.digest() == digest_of("sha512", data[: 1000 + MIB])
    assert running.seen == 1000 + MIB
    assert running.also is not None
    assert running.also.digest() == digest_of("sha256", data[1000 : 1000 + MIB])


async def test_a_digest_that_runs_past_the_end_is_given_back(yard: Yard) -> None:
    file = yard.file(contents=body(MIB))
    running = Digest("sha256")
    with pytest.raises(OSError):
        await yard.engine.checksum(file, 0, 2 * MIB, running)
    running.reset()
    yard.engine.checksum(file, 0, MIB, running).cancel()
    with pytest.raises(TypeError):
        await yard.engine.checksum(file, 0, MIB, b"sha256")  # type: ignore[arg-type]
    await yard.until(lambda: idle(running))
    assert running.digest() == digest_of("sha256", body(MIB))


def idle(running: Digest) -> bool:
    try:
        running.digest()
    except RuntimeError:
        return False
    return True


async def test_checksums_of_one_file_run_at_once_and_do_not_mix(yard: Yard) -> None:
    data = body(2 * MIB)
    file = yard.file(contents=data)
    starts = range(0, MIB, 40_961)
    found = await asyncio.gather(
        *(yard.engine.checksum(file, start, MIB, "sha1") for start in starts)
    )
    assert found == [digest_of("sha1", data[start : start + MIB]) for start in starts]


async def test_checksums_that_are_long_hold_up_no_quick_job(yard: Yard) -> None:
    file = yard.file()
    os.ftruncate(file, 1 << 40)
    running = [yard.engine.checksum(file, 0, 1 << 40, "sha512") for _ in range(4)]
    for _ in range(100):
        await yard.engine.free_space(yard.directory)
    assert not any(job.done() for job in running)
    yard.engine.close()
    for job in running:
        with pytest.raises(OSError) as raised:
            await job
        assert raised.value.errno == errno.ECANCELED


async def test_a_checksum_that_nobody_waits_for_harms_nobody(yard: Yard) -> None:
    data = body(MIB)
    file = yard.file(contents=data)
    for _ in range(20):
        yard.engine.checksum(file, 0, MIB, "sha256").cancel()
        yard.engine.read(file, MIB, 0).cancel()
    assert await yard.engine.checksum(file, 0, MIB, "sha256") == digest_of("sha256", data)


@pytest.mark.parametrize("length", [0, 1, 4095, READ_QUICKLY, READ_QUICKLY + 1, MIB])
@pytest.mark.parametrize("start", [0, 13])
async def test_read_returns_the_range(yard: Yard, start: int, length: int) -> None:
    data = body(2 * MIB)
    file = yard.file(contents=data)
    assert await yard.engine.read(file, length, start) == data[start : start + length]


@pytest.mark.parametrize(("start", "found"), [(0, b"12345"), (4, b"5"), (5, b""), (MIB, b"")])
@pytest.mark.parametrize("length", [100, MIB])
async def test_read_is_shorter_at_the_end_of_the_file(
    yard: Yard, start: int, found: bytes, length: int
) -> None:
    file = yard.file(contents=b"12345")
    assert await yard.engine.read(file, length, start) == found


async def test_reads_of_one_byte_do_not_touch_each_other(yard: Yard) -> None:
    # CPython shares the bytes objects of length 0 and 1; a read must not be made into one of those.
    data = bytes(range(256))
    file = yard.file(contents=data)
    found = await asyncio.gather(*(yard.engine.read(file, 1, n) for n in range(256)))
    assert b"".join(found) == data
    assert bytes([0]) == b"\x00"


async def test_many_reads_at_once_do_not_mix(yard: Yard) -> None:
    data = body(4 * MIB)
    file = yard.file(contents=data)
    lengths = [1, 4096, READ_QUICKLY, READ_QUICKLY + 1, MIB] * 8
    starts = [n * 77_777 for n in range(len(lengths))]
    reads = [yard.engine.read(file, n, at) for n, at in zip(lengths, starts, strict=True)]
    for found, length, start in zip(await asyncio.gather(*reads), lengths, starts, strict=True):
        assert found == data[start : start + length]


async def test_a_read_that_memory_does_not_hold_is_refused_at_once(yard: Yard) -> None:
    with pytest.raises((MemoryError, OverflowError)):
        await yard.engine.read(yard.file(), (1 << 63) - 1, 0)


ON_A_DESCRIPTOR: list[Callable[[Yard, int], Future[Any]]] = [
    lambda yard, descriptor: yard.engine.punch(descriptor, 0, 1),
    lambda yard, descriptor: yard.engine.checksum(descriptor, 0, 1, "crc32c"),
    lambda yard, descriptor: yard.engine.read(descriptor, 1, 0),
    lambda yard, descriptor: yard.engine.read(descriptor, MIB, 0),
]


@pytest.mark.parametrize("operation", ON_A_DESCRIPTOR)
async def test_no_file_is_ebadf(yard: Yard, operation: Callable[[Yard, int], Future[Any]]) -> None:
    with pytest.raises(OSError) as raised:
        await operation(yard, 1 << 20)
    assert raised.value.errno == errno.EBADF


@pytest.mark.parametrize("operation", ON_A_DESCRIPTOR)
async def test_a_pipe_has_no_ranges(
    yard: Yard, operation: Callable[[Yard, int], Future[Any]]
) -> None:
    ends = os.pipe()
    for end in ends:
        yard.stack.callback(os.close, end)
    with pytest.raises(OSError) as raised:
        await operation(yard, ends[1])
    assert raised.value.errno == errno.ESPIPE


async def test_a_file_that_may_only_be_read_is_not_punched(yard: Yard) -> None:
    yard.write("a", b"12345")
    descriptor, _ = await yard.engine.open(yard.directory, b"a", os.O_RDONLY)
    yard.stack.callback(os.close, descriptor)
    with pytest.raises(OSError) as raised:
        await yard.engine.punch(descriptor, 0, 5)
    assert raised.value.errno == errno.EBADF


async def test_a_punch_of_nothing_is_einval(yard: Yard) -> None:
    with pytest.raises(OSError) as raised:
        await yard.engine.punch(yard.file(contents=b"12345"), 0, 0)
    assert raised.value.errno == errno.EINVAL


async def test_negative_numbers_are_refused_at_once(yard: Yard) -> None:
    engine, file = yard.engine, yard.file()
    for use in (
        lambda: engine.punch(file, -1, 1),
        lambda: engine.punch(file, 0, -1),
        lambda: engine.checksum(file, -1, 1, "md5"),
        lambda: engine.checksum(file, 0, -1, "md5"),
        lambda: engine.read(file, -1, 0),
        lambda: engine.read(file, 1, -1),
    ):
        with pytest.raises(ValueError, match="negative"):
            use()


async def test_a_closed_engine_works_on_no_range(yard: Yard) -> None:
    file = yard.file(contents=b"12345")
    yard.engine.close()
    for operation in ON_A_DESCRIPTOR:
        with pytest.raises(RuntimeError, match="closed"):
            await operation(yard, file)


@pytest.mark.parametrize("operation", ON_A_DESCRIPTOR[1:])
def test_an_error_of_the_disk_is_told(
    tmp_path: Path, operation: Callable[[Yard, int], Future[Any]]
) -> None:
    async def scenario(yard: Yard) -> None:
        with pytest.raises(OSError) as raised:
            await operation(yard, yard.file(contents=bytes(MIB)))
        assert raised.value.errno == errno.EIO

    run_denied(tmp_path, "pread", errno.EIO, scenario)
