from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fileloft_fast.dataplane import SYNC_NONE
from tests.native.denial import run_filtered
from tests.native.watch import Watch, run_watched, watch_calls
from tests.native.yard import Yard, body

EPOLL_CTL_ADD = 1
TEN_TICKS_MS = 200
ROOT = Path(__file__).parents[2]
REPORT = """
import sys
sys.path[:0] = [sys.argv[1]]
from tests.native.test_watched import report_adding
report_adding(int(sys.argv[2]))
"""


def test_writeback_begins_with_the_file_and_leaves_no_gap(tmp_path: Path) -> None:
    ranges: list[tuple[int, int]] = []

    def answer(_: Watch, call: tuple[int, ...]) -> None:
        ranges.append((call[1], call[1] + call[2]))

    async def scenario(yard: Yard) -> None:
        file = yard.file(contents=body(5000))
        client, server = yard.connection()
        transfer = yard.engine.receive(server.fileno(), file, 5000, 40_000_000, writeback=True)
        await yard.sent(client, bytes(40_000_000))
        assert await yard.over(transfer) == (40_000_000, 0)

    run_watched(tmp_path, "sync_file_range", answer, scenario)
    assert len(ranges) > 1
    assert [begin for begin, _ in ranges] == [0, *(end for _, end in ranges[:-1])]


@pytest.mark.parametrize(("contents", "size"), [(b"longer", 3), (b"1", 1)])
def test_inspect_tells_the_smaller_size_where_the_data_changes_meanwhile(
    tmp_path: Path, contents: bytes, size: int
) -> None:
    def answer(*_: object) -> None:
        (tmp_path / "a").write_bytes(contents)

    async def scenario(yard: Yard) -> None:
        yard.write("a", b"123")
        yard.write("a.info", b"{}")
        found = await yard.engine.inspect(yard.directory, b"a", b"a.info")
        assert found[:2] == (b"{}", size)
        assert yard.read("a") == contents

    run_watched(tmp_path, "pread", answer, scenario)


@pytest.mark.parametrize(("refusal", "size"), [(0, 1 << 40), (errno.EXDEV, 1 << 31)])
def test_close_ends_a_concatenation_that_copies(tmp_path: Path, refusal: int, size: int) -> None:
    copying = threading.Event()
    closing = threading.Event()

    def answer(_: Watch, call: tuple[int, ...]) -> int:
        copying.set()
        closing.wait()
        return -refusal or call[4]

    async def scenario(yard: Yard) -> None:
        yard.write("a", b"1")  # then the next is not on a block, and no file system shares it
        yard.write("b", b"")
        os.truncate(yard.root / "b", size)
        sources = [(b"a", 1), (b"b", size)]
        made = yard.engine.concatenate(yard.directory, b"all", sources, SYNC_NONE)
        await yard.until(copying.is_set)
        closing.set()
        yard.engine.close()
        with pytest.raises(OSError) as raised:
            await made
        assert raised.value.errno == errno.ECANCELED
        assert yard.names() == {"a", "b"}

    run_watched(tmp_path, "copy_file_range", answer, scenario)


def report_adding(listener: int) -> None:
    """Write for each EPOLL_CTL_ADD 1 where another call comes before it is let through, else 0."""

    def answer(watch: Watch, call: tuple[int, ...]) -> None:
        if call[1] == EPOLL_CTL_ADD:
            os.write(sys.stdout.fileno(), b"%d" % watch.another_waits(TEN_TICKS_MS))

    os.write(sys.stdout.fileno(), b"ready\n")
    installed = threading.Event()
    installed.set()
    Watch(answer, listener).run(installed)


def test_nobody_takes_a_transfer_before_its_socket_is_watched(tmp_path: Path) -> None:
    # Another process answers: the loop's thread keeps the GIL while it adds.
    reporters: list[subprocess.Popen[str]] = []

    def install() -> None:
        listener = watch_calls("epoll_ctl")
        command = [sys.executable, "-c", REPORT, str(ROOT), str(listener)]
        reporter = subprocess.Popen(command, pass_fds=[listener], stdout=subprocess.PIPE, text=True)
        reporters.append(reporter)
        os.close(listener)
        assert reporter.stdout
        assert reporter.stdout.readline() == "ready\n"

    async def scenario(yard: Yard) -> None:
        file = yard.file()
        client, server = yard.connection()
        await yard.sent(client, b"12")
        transfer = yard.engine.receive(server.fileno(), file, 0, 3)
        await yard.moved(transfer, 2)
        await yard.sent(client, b"3")
        assert await yard.over(transfer) == (3, 0)
        assert yard.read() == b"123"

    try:
        run_filtered(tmp_path, install, scenario)
    finally:
        for reporter in reporters:
            reporter.kill()
    assert reporters[0].communicate()[0] == "0"
