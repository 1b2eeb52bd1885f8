from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, SYNC_NONE, Digest, digest_of
from tests.native.yard import Yard, body, soft_limit

if TYPE_CHECKING:
    from asyncio import Future

SYNCS = pytest.mark.parametrize("sync", [SYNC_NONE, SYNC_DATA, SYNC_NAME])


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@SYNCS
async def test_create_makes_both_files(yard: Yard, sync: int) -> None:
    await yard.engine.create(yard.directory, b"a", b"body", b"a.info", b"{}", sync)
    assert (yard.read("a"), yard.read("a.info")) == (b"body", b"{}")
    assert (yard.root / "a").stat().st_mode & 0o777 == 0o600


async def test_create_takes_a_mode(yard: Yard) -> None:
    before = os.umask(0o022)
    try:
        await yard.engine.create(yard.directory, b"a", b"", b"b", b"", SYNC_NONE, 0o664)
    finally:
        os.umask(before)
    assert (yard.root / "a").stat().st_mode & 0o777 == 0o644
    assert (yard.root / "b").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("taken", ["a", "a.info"])
@SYNCS
async def test_create_leaves_nothing_behind_where_a_name_is_taken(
    yard: Yard, taken: str, sync: int
) -> None:
    yard.write(taken, b"old")
    with pytest.raises(FileExistsError) as raised:
        await yard.engine.create(yard.directory, b"a", b"new", b"a.info", b"new", sync)
    assert raised.value.errno == errno.EEXIST
    assert yard.names() == {taken}
    assert yard.read(taken) == b"old"


async def test_create_leaves_nothing_behind_where_the_disk_is_full(yard: Yard) -> None:
    with soft_limit(resource.RLIMIT_FSIZE, 1000), pytest.raises(OSError) as raised:
        await yard.engine.create(yard.directory, b"a", b"", b"b", bytes(1001), SYNC_NONE)
    assert raised.value.errno == errno.EFBIG
    assert yard.names() == set()


async def test_a_descriptor_that_nobody_waits_for_is_closed(yard: Yard) -> None:
    yard.write("x", b"")
    before = open_descriptors()
    opened = yard.engine.open(yard.directory, b"x", os.O_RDONLY)
    opened.cancel()
    yard.engine.close()  # resolves whatever was under way, and closes the engine's own three
    assert open_descriptors() == before - 4


async def test_inspect_tells_contents_size_and_time(yard: Yard) -> None:
    yard.write("a", body(1234))
    yard.write("a.info", b'{"id": 1}')
    os.utime(yard.root / "a", ns=(0, 1_700_000_000_123_456_789))
    assert await yard.engine.inspect(yard.directory, b"a", b"a.info") == (
        b'{"id": 1}',
        1234,
        1_700_000_000_123_456_789,
    )


async def test_inspect_reads_an_empty_info_and_at_most_a_mebibyte(yard: Yard) -> None:
    yard.write("a", b"")
    yard.write("empty", b"")
    yard.write("large", bytes((1 << 20) + 1))
    assert (await yard.engine.inspect(yard.directory, b"a", b"empty"))[0] == b""
    assert len((await yard.engine.inspect(yard.directory, b"a", b"large"))[0]) == 1 << 20


@pytest.mark.parametrize("missing", ["a", "a.info"])
async def test_inspect_needs_both_files(yard: Yard, missing: str) -> None:
    for name in {"a", "a.info"} - {missing}:
        yard.write(name, b"")
    with pytest.raises(FileNotFoundError):
        await yard.engine.inspect(yard.directory, b"a", b"a.info")


async def test_open_tells_the_size_and_never_follows_or_leaks(yard: Yard) -> None:
    yard.write("a", b"12345")
    (yard.root / "link").symlink_to("a")
    descriptor, size = await yard.engine.open(yard.directory, b"a", os.O_RDONLY)
    assert size == 5
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError) as raised:
        await yard.engine.open(yard.directory, b"link", os.O_RDONLY)
    assert raised.value.errno == errno.ELOOP


async def test_open_creates_with_a_mode(yard: Yard) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    descriptor, size = await yard.engine.open(yard.directory, b"a", flags, 0o640)
    os.close(descriptor)
    assert size == 0
    assert (yard.root / "a").stat().st_mode & 0o777 == 0o640


@SYNCS
async def test_append_writes_at_an_offset(yard: Yard, sync: int) -> None:
    yard.write("a", b"0123456789")
    assert await yard.engine.append(yard.directory, b"a", b"xy", 3, sync) == 5
    assert await yard.engine.append(yard.directory, b"a", b"end", 10, sync) == 13
    assert await yard.engine.append(yard.directory, b"a", b"", 13, sync) == 13
    assert yard.read("a") == b"012xy56789end"


async def test_append_keeps_what_went_before_the_disk_was_full(yard: Yard) -> None:
    yard.write("a", b"")
    with soft_limit(resource.RLIMIT_FSIZE, 1000), pytest.raises(OSError) as raised:
        await yard.engine.append(yard.directory, b"a", body(4000), 0, SYNC_NONE)
    assert raised.value.errno == errno.EFBIG
    assert yard.read("a") == body(4000)[:1000]


async def test_a_full_disk_is_enospc(yard: Yard) -> None:
    devices = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    full = os.open("/dev/full", os.O_WRONLY)
    yard.stack.callback(os.close, devices)
    yard.stack.callback(os.close, full)
    for job in (
        yard.engine.append(devices, b"full", b"x", 0, SYNC_NONE),
        yard.engine.write(full, b"x", 0),
    ):
        with pytest.raises(OSError) as raised:
            await job
        assert raised.value.errno == errno.ENOSPC


@SYNCS
async def test_replace_is_atomic_and_leaves_no_temporary_file(yard: Yard, sync: int) -> None:
    yard.write("a", b"old")
    yard.write("a.tmp", b"of a crash, and longer than the new one")
    await yard.engine.replace(yard.directory, b"a", b"new", sync, 0o640)
    assert yard.read("a") == b"new"
    assert yard.names() == {"a"}


async def test_replace_that_fails_keeps_the_old_file(yard: Yard) -> None:
    yard.write("a", b"old")
    with soft_limit(resource.RLIMIT_FSIZE, 1000), pytest.raises(OSError):
        await yard.engine.replace(yard.directory, b"a", bytes(1001), SYNC_NONE)
    assert yard.read("a") == b"old"
    assert yard.names() == {"a"}


async def test_replace_of_a_directory_fails_and_cleans_up(yard: Yard) -> None:
    (yard.root / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        await yard.engine.replace(yard.directory, b"a", b"new", SYNC_NONE)
    assert yard.names() == {"a"}


async def test_write_updates_a_digest(yard: Yard) -> None:
    file = yard.file()
    running = Digest("sha256")
    data = body(300_000)
    assert await yard.engine.write(file, data[:100_000], 0, running) == 100_000
    assert await yard.engine.write(file, data[100_000:], 100_000, running) == 200_000
    assert yard.read() == data
    assert running.digest() == digest_of("sha256", data)


async def test_a_digest_is_refused_while_a_write_has_it(yard: Yard) -> None:
    file = yard.file()
    running = Digest("sha256")
    first = yard.engine.write(file, bytes(1 << 20), 0, running)
    with pytest.raises(RuntimeError):
        running.update(b"x")
    with pytest.raises(RuntimeError):
        await yard.engine.write(file, b"x", 0, running)
    assert await first == 1 << 20
    running.update(b"")


@SYNCS
@pytest.mark.parametrize("size", [0, 3, 10, 5000])
async def test_truncate_cuts_and_extends(yard: Yard, size: int, sync: int) -> None:
    yard.write("a", b"0123456789")
    await yard.engine.truncate(yard.directory, b"a", size, sync)
    assert yard.read("a") == b"0123456789"[:size].ljust(size, b"\0")


@SYNCS
async def test_close_file_syncs_and_closes(yard: Yard, sync: int) -> None:
    yard.write("a.info", b"{}")
    descriptor = os.open(yard.root / "a", os.O_CREAT | os.O_WRONLY)
    await yard.engine.close_file(descriptor, sync, yard.directory, b"a.info")
    with pytest.raises(OSError) as raised:
        os.fstat(descriptor)
    assert raised.value.errno == errno.EBADF


async def test_close_file_closes_where_the_sync_fails(yard: Yard) -> None:
    descriptor = os.open(yard.root / "a", os.O_CREAT | os.O_WRONLY)
    with pytest.raises(FileNotFoundError):
        await yard.engine.close_file(descriptor, SYNC_DATA, yard.directory, b"missing")
    with pytest.raises(OSError):
        os.fstat(descriptor)


async def test_close_of_no_file_is_ebadf(yard: Yard) -> None:
    with pytest.raises(OSError) as raised:
        await yard.engine.close_file(1 << 20, SYNC_NONE)
    assert raised.value.errno == errno.EBADF


@SYNCS
async def test_remove_counts_what_was_there(yard: Yard, sync: int) -> None:
    yard.write("a", b"")
    yard.write("b", b"")
    assert await yard.engine.remove(yard.directory, [b"a", b"missing", b"b"], sync) == 2
    assert await yard.engine.remove(yard.directory, [], sync) == 0
    assert yard.names() == set()


async def test_remove_tries_every_name_and_tells_the_first_error(yard: Yard) -> None:
    (yard.root / "folder").mkdir()
    yard.write("b", b"")
    with pytest.raises(IsADirectoryError):
        await yard.engine.remove(yard.directory, [b"folder", b"b"])
    assert yard.names() == {"folder"}


@SYNCS
async def test_concatenate_puts_beginnings_together(yard: Yard, sync: int) -> None:
    for number in range(3):
        yard.write(str(number), body(3_000_000, seed=number))
    sources = [(b"0", 3_000_000), (b"1", 4096), (b"2", 0), (b"2", 1_234_567)]
    assert await yard.engine.concatenate(yard.directory, b"all", sources, sync) == 4_238_663
    assert yard.read("all") == b"".join(yard.read(name.decode())[:size] for name, size in sources)


async def test_concatenate_of_nothing_is_an_empty_file(yard: Yard) -> None:
    assert await yard.engine.concatenate(yard.directory, b"all", [], SYNC_NONE, 0o644) == 0
    assert yard.read("all") == b""
    assert (yard.root / "all").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("sources", "number"),
    [
        ([(b"a", 5), (b"missing", 1)], errno.ENOENT),
        ([(b"a", 5), (b"a", 6)], errno.ENODATA),
    ],
)
async def test_concatenate_that_fails_leaves_no_target(
    yard: Yard, sources: list[tuple[bytes, int]], number: int
) -> None:
    yard.write("a", b"12345")
    with pytest.raises(OSError) as raised:
        await yard.engine.concatenate(yard.directory, b"all", sources, SYNC_NONE)
    assert raised.value.errno == number
    assert yard.names() == {"a"}


async def test_concatenate_does_not_overwrite(yard: Yard) -> None:
    yard.write("a", b"12345")
    with pytest.raises(FileExistsError):
        await yard.engine.concatenate(yard.directory, b"a", [(b"a", 5)], SYNC_NONE)
    assert yard.read("a") == b"12345"


async def test_free_space_is_what_statvfs_says(yard: Yard) -> None:
    about = os.statvfs(yard.root)
    found = await yard.engine.free_space(yard.directory)
    assert abs(found - about.f_bavail * about.f_frsize) < 1 << 30


ON_A_FILE: list[Callable[[Yard], Future[Any]]] = [
    lambda yard: yard.engine.open(yard.directory, b"missing", os.O_RDONLY),
    lambda yard: yard.engine.append(yard.directory, b"missing", b"x", 0, SYNC_NONE),
    lambda yard: yard.engine.truncate(yard.directory, b"missing", 0, SYNC_NONE),
    lambda yard: yard.engine.inspect(yard.directory, b"missing", b"missing"),
]


@pytest.mark.parametrize("operation", ON_A_FILE)
async def test_a_missing_file_is_told_by_name(
    yard: Yard, operation: Callable[[Yard], Future[Any]]
) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        await operation(yard)
    assert raised.value.filename == "missing"


async def test_a_directory_is_not_written_to(yard: Yard) -> None:
    (yard.root / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        await yard.engine.append(yard.directory, b"folder", b"x", 0, SYNC_NONE)


@pytest.mark.parametrize("name", [b"", b"../a", b"/etc/passwd", b"a\0b"])
async def test_a_name_that_leaves_the_directory_is_refused_at_once(yard: Yard, name: bytes) -> None:
    engine, at = yard.engine, yard.directory
    for use in (
        lambda: engine.create(at, name, b"", b"b", b"", SYNC_NONE),
        lambda: engine.create(at, b"a", b"", name, b"", SYNC_NONE),
        lambda: engine.open(at, name, os.O_RDONLY),
        lambda: engine.append(at, name, b"", 0, SYNC_NONE),
        lambda: engine.replace(at, name, b"", SYNC_NONE),
        lambda: engine.truncate(at, name, 0, SYNC_NONE),
        lambda: engine.remove(at, [b"a", name]),
        lambda: engine.concatenate(at, name, [], SYNC_NONE),
        lambda: engine.concatenate(at, b"a", [(name, 0)], SYNC_NONE),
    ):
        with pytest.raises(ValueError, match="file name"):
            use()


async def test_negative_numbers_and_unknown_syncs_are_refused_at_once(yard: Yard) -> None:
    engine, at = yard.engine, yard.directory
    for use in (
        lambda: engine.append(at, b"a", b"", -1, SYNC_NONE),
        lambda: engine.append(at, b"a", b"", 0, 3),
        lambda: engine.truncate(at, b"a", -1, SYNC_NONE),
        lambda: engine.concatenate(at, b"a", [(b"b", -1)], SYNC_NONE),
        lambda: engine.write(0, b"", -1),
        lambda: engine.create(at, b"a", b"", b"b", b"", -1),
    ):
        with pytest.raises(ValueError, match=r"negative|sync"):
            use()
