"""A server that is a command: started on a free port in a directory of its own, and ended."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.peers import Peer
from fileloft_fast.bench.launch import end_process
from fileloft_fast.errors import FileloftError
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_START_S: Final = 15.0
_STOP_S: Final = 5.0


class NotStartedError(FileloftError):
    """A server that cannot be measured; the message says why in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to start a server. {port} and {directory} stand for what it is given."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def filled(self, port: int, directory: Path) -> tuple[list[str], dict[str, str]]:
        """Return its words and its environment with the variables replaced.

        Of the caller's it gets PATH alone, so that what it does does not depend on who measures.
        """

        def fill(text: str) -> str:
            return text.replace("{port}", str(port)).replace("{directory}", str(directory))

        kept = {"PATH": os.pathsep.join(os.get_exec_path()), "HOME": str(directory.parent)}
        added = {name: fill(value) for name, value in self.environment.items()}
        return [fill(word) for word in self.words], kept | added


@contextmanager
def running(command: Command, folder: Path) -> Iterator[Peer]:
    """Run *command* with the directory data in *folder*, and its output in the file beside it.

    Raises NotStartedError where it does not listen in time.
    """
    directory = folder / "data"
    directory.mkdir()
    port = free_port()
    words, environment = command.filled(port, directory)
    said = folder / "output"
    with said.open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user names it
                words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
            )
        except OSError as error:
            raise NotStartedError(f"{words[0]}: {error.strerror}") from error
    try:
        _wait_until_it_listens(process, port, said)
        yield Peer(("127.0.0.1", port), process.pid)
    finally:
        end_process(process, _STOP_S)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    end = time.monotonic() + _START_S
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > end:
            raise NotStartedError(f"does not listen on {port} after {_START_S:.0f} s")
        time.sleep(0.02)
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = f": {lines[-1].strip()}" if lines else ""
    raise NotStartedError(f"ended with {process.returncode}{last}")
