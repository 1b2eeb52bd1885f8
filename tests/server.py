"""The real server as a process of its own, started for tests and stopped by them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.deadline import PATIENCE_S

if TYPE_CHECKING:
    import ssl

_LISTENING: Final = r"listening(?: address=|\",\"address\":\")(\S+):(\d+)"  # plain or JSON
_LISTENING_UNIX: Final = r"listening socket="
_START_S: Final = 60.0
_STOP_S: Final = 60.0


class Server:
    """One ``fileloft_fast serve`` on a loopback port that the kernel chose, unless told otherwise.

    *settings* are environment variables; FILELOFT_DATA_DIR is *data*, and nothing else of the
    caller's environment reaches the process but PATH and what the interpreter needs. *tls* is what
    clients connect with; *wrapper* starts the command line, and *pass_fds* are handed in.
    """

    wrapper: Sequence[str] = ()
    """The command that starts the process, where it is not started as it is."""

    start_s: float = _START_S
    """How long it may take until it listens."""

    def __init__(
        self,
        data: Path,
        settings: Mapping[str, str] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        wrapper: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.data = data
        self.settings = dict(settings or {})
        self.tls = tls
        self.wrapper = wrapper or self.wrapper
        self._pass_fds = pass_fds
        self.address = ("", 0)
        self.log: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = self._start()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        try:
            self.address = self._wait_for_address()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        code = self.stop()
        if kind is None:
            assert code == 0, "\n".join([f"the server ended with {code}", *self.log])
            self.assert_clean_log()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_for_log(
        self, pattern: str, within_s: float = PATIENCE_S, *, after: int = 0
    ) -> re.Match[str]:
        """Return the first match of *pattern* in the log, waiting until it is written.

        *after* so many lines.
        """
        end = time.monotonic() + within_s
        seen = after
        with self._changed:
            while True:
                for line in self.log[seen:]:
                    matched = re.search(pattern, line)
                    if matched is not None:
                        return matched
                seen = len(self.log)
                left = end - time.monotonic()
                late = left <= 0 or self._ended
                assert not late, "\n".join([f"no {pattern}", *self.log])
                self._changed.wait(left)

    def assert_clean_log(self) -> None:
        """Assert that nothing went wrong unseen: no traceback, no leak that Python warns of."""
        wrong = ("Traceback", "Warning", "never awaited", "never retrieved")
        unclean = [line for line in self.log if any(word in line for word in wrong)]
        assert not unclean, "\n".join([f"a server with {self.settings} says:", *unclean])

    def open_files(self, pid: int = 0) -> list[Path]:
        """Return what a process's descriptors are: paths, and names like ``socket:[1]``.

        The main process's, unless told otherwise.
        """
        found: list[Path] = []
        for entry in Path(f"/proc/{pid or self.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed while we look
                found.append(entry.readlink())
        return found

    def memory(self, field: str = "VmRSS") -> int:
        """Return a memory figure of the process in bytes: VmRSS, or VmHWM for its peak."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        matched = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
        assert matched is not None
        return int(matched[1]) * 1024

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask the process to stop, and return at once."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask the process to stop, wait for it and return its exit code; asking twice is fine."""
        if self.running:
            self.terminate()
        return self.wait()

    def kill(self) -> None:
        """Kill the process: nothing of it gets a chance to tidy up."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait until the process has ended and return its exit code."""
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._reader.join(_STOP_S)
        return code

    def _start(self) -> subprocess.Popen[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "default",
            "FILELOFT_BIND": "127.0.0.1:0",
            "FILELOFT_DATA_DIR": str(self.data),
        }
        return subprocess.Popen(
            [*self.wrapper, sys.executable, "-m", "fileloft_fast", "serve"],
            pass_fds=self._pass_fds,
            env=environment | self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
        )

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            for line in pipe:
                with self._changed:
                    self.log.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wait_for_address(self) -> tuple[str, int]:
        if "FILELOFT_UNIX_SOCKET" in self.settings:
            self.wait_for_log(_LISTENING_UNIX, self.start_s)
            return "", 0
        matched = self.wait_for_log(_LISTENING, self.start_s)
        return matched[1].strip("[]"), int(matched[2])


def workers_of(pid: int) -> list[int]:
    """Return the processes that *pid* has started and that run."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in children.split()]
