"""A server that is started for the measurement, and stopped after it."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from fileloft_fast.bench.dialects import TUS
from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.target import parse_target
from fileloft_fast.bench.wire import Client, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_S: Final = 60.0
_STOP_S: Final = 20.0
_AGAIN_S: Final = 0.02
_SHOWN_LINES: Final = 20


@contextmanager
def launched(command: str, url: str) -> Iterator[int]:
    """Run *command*, without a shell, until the context ends; yield its pid once *url* answers.

    It is ended by SIGTERM, and killed where it does not end. What it says goes to a file that is
    thrown away, or stands in the BenchError where it does not come to answer. Blocks.
    """
    words = plan_command(command)
    target = parse_target(url)
    if _answers(target.address, target.host, target.path):
        raise BenchError(f"{target.url} answers already, before the command was started")
    with tempfile.TemporaryFile() as output:
        try:
            # a session of its own: Ctrl-C ends the load, and we end the server
            process = subprocess.Popen(  # noqa: S603 - the user's own command
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise BenchError(f"{words[0]}: {error.strerror}") from None
        try:
            end = time.monotonic() + _START_S
            while not _answers(target.address, target.host, target.path):
                _ensure_starting(process, output, end)
                time.sleep(_AGAIN_S)
            yield process.pid
        finally:
            end_process(process, _STOP_S)


def plan_command(command: str) -> list[str]:
    """Return the words of *command*. Raises BenchError."""
    try:
        words = shlex.split(command)
    except ValueError as wrong:
        raise BenchError(f"--command: {wrong}") from None
    if not words:
        raise BenchError("--command: must be a command")
    return words


def _answers(address: tuple[str, int] | str, host: str, path: str) -> bool:
    """Whether any HTTP comes back."""
    try:
        connect(address, 1.0).close()
        with Client(address, host, TUS.always, timeout_s=5.0) as client:
            client.ask("OPTIONS", path)
    except OSError:
        return False
    return True


def _ensure_starting(process: subprocess.Popen[bytes], output: IO[bytes], end: float) -> None:
    """Raise BenchError, with what it said, where it has ended or takes too long."""
    code = process.poll()
    if code is None and time.monotonic() < end:
        return
    output.seek(0)
    said = output.read().decode("utf-8", "replace").splitlines()[-_SHOWN_LINES:]
    why = f"ended with {code}" if code is not None else f"does not answer within {_START_S:g} s"
    raise BenchError("\n".join([f"the command {why}", *(f"  {line}" for line in said)]))


def end_process(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Have *process* end by SIGTERM, and kill it where it takes longer than *patience_s*."""
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
