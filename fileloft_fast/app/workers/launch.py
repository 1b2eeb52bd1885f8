"""How this process was started, what its predecessor handed in, and how a successor is started."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    import socket

log = logging.getLogger(__name__)

HANDED: Final = "_FILELOFT_HANDED"
"""The variable that names what is handed in; no setting, and not for what this process starts."""

_READY: Final = b"r"
_FORMAT: Final = re.compile(r"([0-9]+):([0-9]+(?:[,;][0-9]+)*)")
# systemd meant these for one process, which the successor is not.
_PERSONAL: Final = frozenset({HANDED, "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"})
_RESET: Final = [
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCHLD,
]


@dataclass(frozen=True, slots=True)
class Successor:
    """A process that was started to take over, and the pipe by which it says that it does."""

    pid: int
    pipe: int

    def is_serving(self) -> bool:
        """Return whether it serves, once the pipe is readable; False where it has ended."""
        return os.read(self.pipe, 1) == _READY

    def stop(self) -> None:
        """Ask it to stop before it has taken over: who stops the service means both."""
        with contextlib.suppress(ProcessLookupError):  # it has ended, and been waited for
            os.kill(self.pid, signal.SIGTERM)

    def close(self) -> None:
        """Listen to it no longer."""
        os.close(self.pipe)


@dataclass(slots=True)
class Launch:
    """The command and the environment of this process, and what was handed in.

    *slots* are the descriptors of listening sockets, those of each worker together; *pipe* is where
    the predecessor hears that it may go.
    """

    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    slots: Sequence[Sequence[int]] = ()
    pipe: int | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Return how this process was started. Raises ConfigError for a value that is not ours."""
        # The interpreter by its path: what is installed there by then is what will be started.
        command = [sys.executable, *sys.orig_argv[1:]]
        handed = environment.get(HANDED)
        if handed is None:
            return cls(command, environment)
        matched = _FORMAT.fullmatch(handed)
        if matched is None:
            raise ConfigError(f"{HANDED}: is only for a process that takes over from another")
        slots = [[int(each) for each in slot.split(",")] for slot in matched[2].split(";")]
        pipe = int(matched[1])
        _pass_on([pipe], inheritable=False)
        return cls(command, environment, slots, pipe)

    def may_upgrade(self) -> bool:
        """Return whether a successor makes sense; say so where it does not."""
        if os.getpid() == 1:
            log.warning("no upgrade: this is PID 1, and its container would end with it")
            return False
        return bool(self.command)

    def announce(self) -> bool:
        """Tell the predecessor, if there is one, that it may go; return whether it was told now."""
        if self.pipe is None:
            return False
        pipe, self.pipe = self.pipe, None
        try:
            os.write(pipe, _READY)
        except BrokenPipeError:
            pass  # it has gone already
        finally:
            os.close(pipe)
        return True

    def start_successor(self, slots: Sequence[Sequence[socket.socket]]) -> Successor:
        """Start the command of this process anew, with the sockets of *slots*. Raises OSError."""
        reading, writing = os.pipe()
        handed = ";".join(",".join(str(each.fileno()) for each in slot) for slot in slots)
        environment = {k: v for k, v in self.environment.items() if k not in _PERSONAL}
        environment[HANDED] = f"{writing}:{handed}"
        passed = {writing, *(each.fileno() for slot in slots for each in slot)}
        try:
            _pass_on(passed, inheritable=True)
            # No fork: the engine's threads would not be there, and their locks would.
            pid = os.posix_spawn(
                self.command[0], list(self.command), environment, setsigmask=[], setsigdef=_RESET
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            _pass_on(passed, inheritable=False)
            os.close(writing)
        return Successor(pid, reading)


def _pass_on(descriptors: Iterable[int], *, inheritable: bool) -> None:
    for each in descriptors:
        os.set_inheritable(each, inheritable)
