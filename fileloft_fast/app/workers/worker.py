"""One worker as its supervisor sees it: a process, the channel to it, and when one is due anew."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Final

from fileloft_fast.errors import ConfigError

log = logging.getLogger(__name__)

SIGNALS: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
)
"""What the supervisor takes; a worker begins with none of its handlers."""

GO_GENTLY: Final = b"g"
"""From the supervisor: another process has taken over, let what runs end by itself."""
SERVING: Final = b"r"
"""To the supervisor."""
WAITING: Final = b"d"
"""To the supervisor: another process has what this one needs alone."""
BEAT: Final = b"b"
"""To the supervisor, ever again: the loop turns."""
BEAT_S: Final = 0.5
_WRONG: Final = b"w"
"""Before what a ConfigError says, to the supervisor."""

CONFIG: Final = 2
_BUG: Final = 70  # sysexits.h: EX_SOFTWARE
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_LIVED_S: Final = 10.0

Work = Callable[[int, socket.socket], int]
"""Serves as the worker of a slot, with the channel to the supervisor; returns the exit status."""


class Worker:
    """The process in one slot, and those that follow it there."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.pid = 0
        self.serving = False
        self.waiting = False
        self.served = False
        """Whether any process of this slot has served so far."""
        self.due_at: float | None = None
        self.channel: socket.socket | None = None
        self.problem = ""
        """What the settings are wrong about, where that is why it ended."""
        self.heard_at = 0.0
        """When it last said something."""
        self._failures = 0
        self._started_at = 0.0

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.pid != 0

    def start(self, work: Work, foreign: Iterable[int]) -> None:
        """Fork a process that does *work*; it closes the *foreign* descriptors. Raises OSError."""
        ours, theirs = socket.socketpair()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                _run(lambda: work(self.slot, theirs), theirs, foreign)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        ours.settimeout(0)
        self.pid, self.channel = pid, ours
        self.serving = self.waiting = False
        self.due_at = None
        self._started_at = time.monotonic()

    def read_channel(self) -> None:
        """Take what the worker says."""
        assert self.channel is not None
        try:
            said = self.channel.recv(4096)
        except (BlockingIOError, ConnectionResetError):
            return
        if said:
            self.heard_at = time.monotonic()
        said = said.lstrip(BEAT)
        if said.startswith(SERVING):
            self.serving = self.served = True
        elif said.startswith(WAITING):
            self.waiting = True
            self.serving = self.served = SERVING in said
        elif said.startswith(_WRONG):
            self.problem = said.removeprefix(_WRONG).decode()

    def on_exit(self) -> None:
        """The process is gone; decide when the next one is due."""
        now = time.monotonic()
        if self.channel is not None:
            self.read_channel()
            self.channel.close()
            self.channel = None
        self._failures = 1 if now - self._started_at > _LIVED_S else self._failures + 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        self.due_at = now + pause_s
        self.pid, self.serving = 0, False

    def signal(self, number: int) -> None:
        """Send a signal, if there is a process; one that has ended is not reaped before."""
        if self.pid:
            os.kill(self.pid, number)

    def go_gently(self) -> None:
        """Let it end when what it serves has ended."""
        if self.channel is not None:
            with contextlib.suppress(OSError):  # it ends already
                self.channel.send(GO_GENTLY)


def _run(work: Callable[[], int], channel: socket.socket, foreign: Iterable[int]) -> None:
    """Be a worker, and end with the process: nothing of the supervisor's goes on in here."""
    status = _BUG
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            default = number in {signal.SIGTERM, signal.SIGCHLD}
            signal.signal(number, signal.SIG_DFL if default else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        for descriptor in foreign:
            os.close(descriptor)
        status = work()
    except ConfigError as wrong:
        channel.send(_WRONG + str(wrong).encode())
        status = CONFIG
    except Exception:
        log.exception("worker failed")
    finally:
        os._exit(status)
