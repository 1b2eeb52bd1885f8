"""A server that hands over to a successor of its own, which is then the one that is stopped."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress

from tests.server import Server

_END_S = 20.0


class Upgradable(Server):
    """A server whose main process may be another one than was started."""

    heir: int | None = None

    @property
    def pid(self) -> int:
        """The process id of the main process."""
        return self.heir or super().pid

    @property
    def running(self) -> bool:
        """Whether the main process has not ended."""
        return super().running if self.heir is None else runs(self.heir)

    def upgrade(self) -> int:
        """Ask for an upgrade and wait until it is done; return the exit code of the old process."""
        seen = len(self.log)
        os.kill(self.pid, signal.SIGUSR2)
        return self.follow(seen)

    def follow(self, seen: int = 0) -> int:
        """Wait for the end of an upgrade; return the exit code of the old process."""
        matched = self.wait_for_log(r"msg=upgraded successor=(\d+)", after=seen)
        old, self.heir = self.pid, int(matched[1])
        if old == self._process.pid:
            return self._process.wait(_END_S)
        _wait_for(old)
        return 0

    def stop(self) -> int:
        """Ask the main process to stop, and wait for it."""
        if self.heir is None:
            return super().stop()
        with suppress(ProcessLookupError):
            os.kill(self.heir, signal.SIGTERM)
        _wait_for(self.heir)
        self._reader.join(_END_S)
        return 0

    def kill(self) -> None:
        """Kill the main process."""
        if self.heir is None:
            super().kill()
            return
        with suppress(ProcessLookupError):
            os.kill(self.heir, signal.SIGKILL)
        _wait_for(self.heir)


def runs(pid: int) -> bool:
    """Return whether there is a process *pid*."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    os.close(descriptor)
    return True


def _wait_for(pid: int) -> None:
    """Wait until a process has ended that is no child of ours."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended = select.select([descriptor], [], [], _END_S)[0]
    finally:
        os.close(descriptor)
    assert ended, f"process {pid} does not end"
