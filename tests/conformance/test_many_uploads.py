"""What a start and a sweep look at does not grow with what lies in the directory."""

from __future__ import annotations

import ctypes
import os
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from benchmarks.growth.fill import ensure_filled, upload_id
from tests.endpoint import Endpoint
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_OPEN: Final = 0x20
IN_Q_OVERFLOW: Final = 0x4000
EVENT: Final = struct.Struct("iIII")
A_FEW: Final = 10
MANY: Final = 1000
DAY: Final = 86_400.0


class Opened:
    """The names of files in a directory that were opened, by whomever, since the last look."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def take(self) -> list[str]:
        names = []
        while events := self._read():
            while events:
                _, mask, _, length = EVENT.unpack_from(events)
                assert not mask & IN_Q_OVERFLOW
                names.append(events[EVENT.size : EVENT.size + length].rstrip(b"\0").decode())
                events = events[EVENT.size + length :]
        return names

    def infos(self) -> list[str]:
        return [name for name in self.take() if name.endswith(".info")]

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, 1 << 16)
        except BlockingIOError:
            return b""


@contextmanager
def watched(directory: Path) -> Iterator[Opened]:
    """Note which files in *directory* are opened."""
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert descriptor >= 0
    try:
        watch = library.inotify_add_watch(descriptor, os.fsencode(directory), IN_OPEN)
        assert watch >= 0, os.strerror(ctypes.get_errno())
        yield Opened(descriptor)
    finally:
        os.close(descriptor)


def test_a_watch_sees_what_a_request_opens(tmp_path: Path) -> None:
    ensure_filled(tmp_path, A_FEW)
    with watched(tmp_path) as opened, Server(tmp_path) as server:
        opened.take()
        assert Endpoint(server).offset(f"/files/{upload_id(3)}") == 4096
        assert opened.infos() == [f"{upload_id(3)}.info"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_opens_a_few_uploads_however_many_there_are(tmp_path: Path, workers: str) -> None:
    opens = []
    for number in (A_FEW, MANY):
        data = tmp_path / str(number)
        ensure_filled(data, number)
        with watched(data) as opened, Server(data, {"FILELOFT_WORKERS": workers}):
            opens.append(len(opened.infos()))
    assert opens[0] <= A_FEW
    assert opens[0] == opens[1]


def test_a_sweep_opens_only_what_may_have_expired_and_only_once(tmp_path: Path) -> None:
    ensure_filled(tmp_path, MANY)
    filled = set(map(upload_id, range(MANY)))
    aged = [upload_id(1), upload_id(2)]
    for upload in aged:
        os.utime(tmp_path / upload, (1.0, 1.0))
    settings = {"FILELOFT_ENABLE_EXPIRATION": "1", "FILELOFT_SWEEP_INTERVAL": "0.1"}
    with watched(tmp_path) as opened, Server(tmp_path, settings) as server:
        tus = Endpoint(server)
        opened.take()
        for _ in range(2):  # each is a sentinel: once it is gone, a sweep has been
            logged = len(server.log)
            expiring = tus.create(5)
            soon = time.time() - DAY + 1.0
            os.utime(tus.data_file(expiring), (soon, soon))
            server.wait_for_log("swept.* removed=1 ", after=logged)
        found = opened.infos()
    assert sorted(name for name in found if name.removesuffix(".info") in filled) == sorted(
        f"{upload}.info" for upload in aged
    )
