"""Debian's redis-server as a process of the test: stopped, killed and started again on its port."""

from __future__ import annotations

import signal
import socket
import subprocess
from shutil import which
from typing import TYPE_CHECKING, Final, Self

from tests.deadline import eventually
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

_START_S: Final = 60.0
_STOP_S: Final = 60.0


class RedisServer:
    """A Redis on loopback that remembers nothing, unless *persistent*, when it is started again."""

    def __init__(self, directory: Path, *, persistent: bool = False) -> None:
        self._directory = directory
        self._persistent = persistent
        self.port = free_port()
        self._process = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()
        self.kill()

    @property
    def url(self) -> str:
        """What FILELOFT_REDIS_URL is set to."""
        return f"redis://127.0.0.1:{self.port}/0"

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(_STOP_S)

    def restart(self) -> None:
        """Start it again on the same port."""
        assert self._process.poll() is not None
        self._process = self._start()

    def pause(self) -> None:
        """Make it answer nothing, with its connections open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        self._process.send_signal(signal.SIGCONT)

    def command(self, *words: str) -> bytes:
        """Send one command and return its answer, up to 64 KiB of it, as it is on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            parts = [word.encode() for word in words]
            lines = [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
            connection.sendall(b"*%d\r\n" % len(parts) + b"".join(lines))
            return connection.recv(65_536)

    def _start(self) -> subprocess.Popen[bytes]:
        binary = which("redis-server")
        assert binary is not None, "apt-get install redis-server"
        process = subprocess.Popen(
            [
                binary,
                *("--bind", "127.0.0.1"),
                *("--port", str(self.port)),
                *("--dir", str(self._directory)),
                *("--save", ""),
                *("--appendonly", "yes" if self._persistent else "no"),
                *("--appendfsync", "always"),
                *("--logfile", str(self._directory / "redis.log")),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: self._answers(process), within_s=_START_S)
        except BaseException:
            process.kill()
            process.wait(_STOP_S)
            raise
        return process

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, (self._directory / "redis.log").read_text()
        try:
            return self.command("PING") == b"+PONG\r\n"
        except OSError:
            return False
