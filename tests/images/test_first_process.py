"""The server as PID 1, which a container makes it: no init is above it, and nobody reaps for it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.deadline import eventually
from tests.server import Server

# who is not root may have PIDs of his own only together with users of his own
_OWN_USERS: Final = () if os.geteuid() == 0 else ("--user", "--map-root-user")
_ORPHANS: Final = "for i in 1 2 3; do (sleep 1 &); done"


class FirstProcess(Server):
    """A server that is PID 1 of a namespace of its own."""

    wrapper = ("unshare", *_OWN_USERS, "--pid", "--fork", "--kill-child")

    @property
    def first(self) -> int:
        """Its number outside: the one child of unshare, which waits for it."""
        (child,) = children(self.pid)
        return child

    def terminate(self) -> None:
        os.kill(self.first, signal.SIGTERM)

    def run(self, script: str) -> None:
        """Run a shell script among its processes."""
        enter = ("nsenter", f"--target={self.first}", *(_OWN_USERS and ("--user",)), "--pid")
        subprocess.run([*enter, "sh", "-c", script], check=True)


def children(pid: int) -> list[int]:
    """Return the processes whose parent is the main thread of *pid*, ended ones among them."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in listed.split()]


@pytest.fixture(params=["1", "2"], ids=["alone", "workers"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FirstProcess]:
    """Return a server that is PID 1."""
    with FirstProcess(tmp_path / "data", {"FILELOFT_WORKERS": request.param}) as running:
        if request.param != "1":
            running.wait_for_log("msg=serving workers=2")
        status = Path(f"/proc/{running.first}/status").read_text(encoding="ascii")
        assert "NSpid:" in status
        assert status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
        yield running


def test_sigterm_stops_it_though_it_is_pid_1(server: FirstProcess) -> None:
    # the kernel ignores a signal to PID 1 that has no handler
    assert server.stop() == 0
    server.wait_for_log("msg=stopped")


def test_it_reaps_what_others_leave_behind(server: FirstProcess) -> None:
    own = children(server.first)  # workers
    server.run(_ORPHANS)
    assert len(children(server.first)) == len(own) + 3
    eventually(lambda: children(server.first) == own)
