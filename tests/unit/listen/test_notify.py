"""What systemd is told, and what it is not."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import uvloop

from fileloft_fast.config import read_settings
from fileloft_fast.listen import Notifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        abstract = f"\0fileloft-fast-test-{os.getpid()}"
        listening.bind(str(tmp_path / "n") if request.param == "path" else abstract)
        listening.settimeout(5)
        yield listening


def notifier(systemd: socket.socket, **more: str) -> Notifier:
    name = systemd.getsockname()
    where = name if isinstance(name, str) else "@" + name[1:].decode()
    return Notifier(read_settings({"NOTIFY_SOCKET": where, **more}))


def heard(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def test_each_turn_of_a_services_life_is_told(systemd: socket.socket) -> None:
    with closing(notifier(systemd)) as told:
        told.ready("serving on\n 8080")
        assert heard(systemd) == ["READY=1", "STATUS=serving on 8080"]
        told.status("2 workers")
        assert heard(systemd) == ["STATUS=2 workers"]
        before = time.clock_gettime(time.CLOCK_MONOTONIC)
        told.reloading()
        said, since = heard(systemd)
        assert said == "RELOADING=1"
        after = time.clock_gettime(time.CLOCK_MONOTONIC)
        assert before - 1e-5 <= int(since.removeprefix("MONOTONIC_USEC=")) / 1e6 <= after
        told.ready()
        assert heard(systemd) == ["READY=1"]
        told.main_process(42)
        assert heard(systemd) == ["MAINPID=42"]
        told.stopping()
        assert heard(systemd) == ["STOPPING=1"]


def test_the_watchdog_hears_from_the_loop_twice_in_its_time(systemd: socket.socket) -> None:
    loop = uvloop.new_event_loop()
    with closing(loop), closing(notifier(systemd, WATCHDOG_USEC="40000")) as told:
        told.watch(loop)
        began = time.monotonic()
        for _ in range(3):
            loop.run_until_complete(loop.run_in_executor(None, heard, systemd))
        assert time.monotonic() - began >= 0.03
        loop.run_until_complete(loop.shutdown_default_executor())


@pytest.mark.parametrize("more", [{}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}])
def test_nobody_watches_who_was_not_asked_to(systemd: socket.socket, more: dict[str, str]) -> None:
    loop = uvloop.new_event_loop()
    with closing(loop), closing(notifier(systemd, **more)) as told:
        told.watch(loop)
        told.status("after")
        assert heard(systemd) == ["STATUS=after"]


def test_without_a_socket_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "socket")
    with closing(Notifier(read_settings({}))) as told:
        told.ready("x")
        told.stopping()


def test_a_systemd_that_is_gone_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Notifier(read_settings({"NOTIFY_SOCKET": str(tmp_path / "gone")}))) as told:
        told.ready()
    assert [record.message for record in caplog.records] == ["systemd was not told"]
