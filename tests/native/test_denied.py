from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.dataplane import SYNC_DATA, SYNC_NAME, SYNC_NONE, Digest, read_aged
from tests.native.denial import deny, run_denied
from tests.native.yard import Yard, body

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fileloft_fast.dataplane import Transfer


@pytest.mark.parametrize(
    "number", [errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP], ids=errno.errorcode.get
)
def test_concatenate_copies_by_hand_where_the_kernel_does_not(tmp_path: Path, number: int) -> None:
    async def scenario(yard: Yard) -> None:
        yard.write("a", body(700_000))
        sources = [(b"a", 700_000), (b"a", 300_000)]
        size = await yard.engine.concatenate(yard.directory, b"all", sources, SYNC_NONE)
        assert size == 1_000_000
        assert yard.read("all") == body(700_000) + body(700_000)[:300_000]

    run_denied(tmp_path, "copy_file_range", number, scenario)


def test_concatenate_tells_what_went_wrong_in_the_kernel(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        yard.write("a", body(700_000))
        with pytest.raises(OSError) as raised:
            await yard.engine.concatenate(yard.directory, b"all", [(b"a", 1)], SYNC_NONE)
        assert raised.value.errno == errno.EIO
        assert yard.names() == {"a"}

    run_denied(tmp_path, "copy_file_range", errno.EIO, scenario)


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_what_cannot_be_synced_was_not_created(tmp_path: Path, call: str) -> None:
    async def scenario(yard: Yard) -> None:
        with pytest.raises(OSError) as raised:
            await yard.engine.create(yard.directory, b"a", b"x", b"b", b"y", SYNC_NAME)
        assert raised.value.errno == errno.EIO
        assert yard.names() == set()

    run_denied(tmp_path, call, errno.EIO, scenario)


def test_a_replacement_that_cannot_be_synced_keeps_the_old_file(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        yard.write("a", b"old")
        with pytest.raises(OSError) as raised:
            await yard.engine.replace(yard.directory, b"a", b"new", SYNC_DATA)
        assert raised.value.errno == errno.EIO
        assert yard.read("a") == b"old"
        assert yard.names() == {"a"}

    run_denied(tmp_path, "fdatasync", errno.EIO, scenario)


@pytest.mark.parametrize(("number", "wanted"), [(errno.ENOENT, []), (errno.EUCLEAN, [b"a"])])
def test_a_look_leaves_a_damaged_file_to_whoever_loads_it(
    tmp_path: Path, number: int, wanted: list[bytes]
) -> None:
    """One file must not save all others from expiry."""

    async def scenario(yard: Yard) -> None:
        yard.write("a", b"")
        yard.write("a.info", b"")
        assert read_aged(yard.directory, 0.0, 1.0) == (1, wanted)

    run_denied(tmp_path, "fstatat", number, scenario)


@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_an_append_that_cannot_be_synced_stays_and_is_an_error(tmp_path: Path, call: str) -> None:
    async def scenario(yard: Yard) -> None:
        yard.write("a", b"")
        with pytest.raises(OSError) as raised:
            await yard.engine.append(yard.directory, b"a", b"x", 0, SYNC_NAME)
        assert raised.value.errno == errno.ENOSPC
        assert yard.read("a") == b"x"

    run_denied(tmp_path, call, errno.ENOSPC, scenario)


@pytest.mark.parametrize(("call", "number"), [("splice", errno.EINVAL), ("pipe2", errno.EMFILE)])
def test_receive_works_where_splice_does_not(tmp_path: Path, call: str, number: int) -> None:
    async def scenario(yard: Yard) -> None:
        file = yard.file()
        client, server = yard.connection()
        transfer = yard.engine.receive(server.fileno(), file, 0, 3_000_000)
        await yard.sent(client, body(3_000_000) + b"next")
        assert await yard.over(transfer) == (3_000_000, 0)
        assert yard.read() == body(3_000_000)
        assert await yard.received(server, 4) == b"next"

    run_denied(tmp_path, call, number, scenario)


def test_a_transfer_without_a_thread_is_refused_and_forgotten(tmp_path: Path) -> None:
    async def scenario(yard: Yard) -> None:
        deny("clone", errno.EAGAIN)
        file = yard.file()
        _, server = yard.connection()
        running = Digest("md5")
        prefix = body(100)
        before = sys.getrefcount(prefix), sys.getrefcount(running), sys.getrefcount(yard.engine)
        uses: list[Callable[[], Transfer]] = [
            lambda: yard.engine.receive(
                server.fileno(), file, 0, 200, prefix=prefix, digest=running
            ),
            lambda: yard.engine.send(server.fileno(), file, 0, 1, head=prefix),
        ]
        for use in uses:
            with pytest.raises(BlockingIOError):
                use()
        after = sys.getrefcount(prefix), sys.getrefcount(running), sys.getrefcount(yard.engine)
        assert after == before
        running.update(b"")  # not lent
        assert yard.read() == b""

    run_denied(tmp_path, "clone3", errno.EAGAIN, scenario)
