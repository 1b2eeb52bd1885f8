"""Executable files as hooks: one for each event, named like it, in one folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import ROWS
from fileloft_fast.errors import HookFailedError, HookUnavailableError
from fileloft_fast.hooks.wire import MAX_REPLY_BYTES, NOTHING_SAID, HookResponse, parse_response
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.config import HookEvent
    from fileloft_fast.hooks.sink import Call

log = logging.getLogger(__name__)

_MAX_SAID_LINES: Final = 50
_MAX_LINE_BYTES: Final = 4096
_AT_ONCE: Final = 48
"""Processes; more calls wait for their turn. Those who tell never have all of them."""

_BUFFER_BYTES: Final = 65536
_LAST_WORDS_S: Final = 0.2

# What this server, or a library in it, proves to others who it is by, and whom it reports to.
_NOT_FOR_HOOKS: Final = re.compile(
    r"NOTIFY_SOCKET|WATCHDOG_\w+|LISTEN_(?:FDS|PID|FDNAMES)"
    r"|(?:AWS|AZURE|GOOGLE|REDIS)\w*(?:KEY|SECRET|TOKEN|PASSWORD|CONNECTION_STRING)\w*"
).fullmatch


class FileSink:
    """Runs ``{directory}/{event}``: JSON in by stdin, JSON out by stdout, stderr into the log.

    A file that is not there is no error. A process is killed with its children after *timeout_s*.
    """

    def __init__(self, directory: str, *, timeout_s: float, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._timeout_s = timeout_s
        hidden = {row.variable for row in ROWS.values() if row.secret}
        self._environment = {
            k: v for k, v in environment.items() if k not in hidden and not _NOT_FOR_HOOKS(k)
        }
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def name(self) -> str:
        """See ``Sink``."""
        return "dir"

    def wants(self, event: HookEvent) -> bool:
        """See ``Sink``."""
        return os.path.lexists(f"{self._directory}/{event.value}")

    async def call(self, call: Call) -> HookResponse:
        """See ``Sink``: any exit status but 0 is a failure."""
        async with self._turns:
            try:
                transport, process = await self._start(call)
            except (FileNotFoundError, NotADirectoryError) as error:
                if self.wants(call.event):
                    raise HookFailedError("the hook's interpreter is missing") from error
                return NOTHING_SAID
            except OSError as error:
                raise HookFailedError(f"the hook cannot be run: {error.strerror}") from error
            try:
                async with asyncio.timeout(self._timeout_s):
                    said, status = await _converse(process, call)
            except TimeoutError as error:
                raise HookUnavailableError("the hook took too long and was killed") from error
            finally:
                await _end(process)
                transport.close()  # its pipes may be held open by what it left running
        if status != 0:
            raise HookFailedError(f"the hook ended with {status}")
        return parse_response(said)

    async def close(self) -> None:
        """See ``Sink``: each call ends its process itself."""

    async def _start(self, call: Call) -> tuple[asyncio.SubprocessTransport, Process]:
        upload = call.parse().event.upload
        loop = asyncio.get_running_loop()
        with _opened(call.body) as stdin:
            transport, protocol = await loop.subprocess_exec(
                partial(SubprocessStreamProtocol, limit=_BUFFER_BYTES, loop=loop),
                f"{self._directory}/{call.event.value}",
                stdin=stdin,
                stdout=PIPE,
                stderr=PIPE,
                cwd=self._directory,
                env={
                    **self._environment,
                    "TUS_ID": upload.id,
                    "TUS_SIZE": str(upload.size),
                    "TUS_OFFSET": str(upload.offset),
                    "TUS_IDEMPOTENCY_KEY": call.key,
                },
                start_new_session=True,  # so that its children can be killed with it
            )
        return transport, Process(transport, protocol, loop)


async def _converse(process: Process, call: Call) -> tuple[bytes, int]:
    """Return what *process* says and its status, once it has ended.

    What it has left running may keep its pipes open for ever: then nobody waits for their end.
    """
    said = bytearray()
    loop = asyncio.get_running_loop()
    listening = [loop.create_task(_read(process, said)), loop.create_task(_log(process, call))]
    try:
        status = await process.wait()
        await asyncio.wait(listening, timeout=_LAST_WORDS_S)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.wait(listening)
    return bytes(said), status


@contextlib.contextmanager
def _opened(body: bytes) -> Iterator[int]:
    """Lend *body* as a file: a pipe would have to be fed to a process that may not want it."""
    descriptor = os.memfd_create("hook")
    try:
        os.write(descriptor, body)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


async def _read(process: Process, said: bytearray) -> None:
    """Add to *said* what it says, and a little more than is allowed of what is too long."""
    assert process.stdout is not None
    while piece := await process.stdout.read(_BUFFER_BYTES):
        if len(said) <= MAX_REPLY_BYTES:
            said += piece


async def _log(process: Process, call: Call) -> None:
    assert process.stderr is not None
    left = _MAX_SAID_LINES
    rest = b""
    while piece := await process.stderr.read(_MAX_LINE_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        lines, rest = (lines, rest) if len(rest) < _MAX_LINE_BYTES else ([*lines, rest], b"")
        left -= _say(lines[: max(left, 0)], call)
    _say([rest] if rest and left > 0 else [], call)


def _say(lines: list[bytes], call: Call) -> int:
    for line in lines:
        text = line.decode("utf-8", "replace")
        log.info("hook says", extra=fields(hook=call.event.value, line=text))
    return len(lines)


async def _end(process: Process) -> None:
    """Kill one that has not ended, and its children; what it left running on purpose may stay."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())
