"""A yard whose threads are denied one system call: a seccomp filter answers it with an errno.

A filter holds for the thread that sets it and for those that it starts, so the yard gets a thread
of its own, which the engine's threads come from.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import struct
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import uvloop

from tests.native.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path

PR_SET_SECCOMP: Final = 22
PR_SET_NO_NEW_PRIVS: Final = 38
SECCOMP_MODE_FILTER: Final = 2
SECCOMP_RET_ERRNO: Final = 0x00050000
SECCOMP_RET_ALLOW: Final = 0x7FFF0000
LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06

NUMBERS: Final = {
    "x86_64": {
        "fdatasync": 75, "fsync": 74, "splice": 275, "pipe2": 293, "copy_file_range": 326,
    },
    "aarch64": {
        "fdatasync": 83, "fsync": 82, "splice": 76, "pipe2": 59, "copy_file_range": 285,
    },
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def deny(call: str, number: int) -> None:
    """Let *call* fail with errno *number* in this thread and in those that it starts."""
    lines = (
        (LOAD_NUMBER, 0, 0, 0),
        (IF_EQUAL, 0, 1, NUMBERS[platform.machine()][call]),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | number),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(lines), code)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run_denied(
    root: Path, call: str, number: int, scenario: Callable[[Yard], Awaitable[None]]
) -> None:
    """Run *scenario* on a yard in *root* where *call* fails with errno *number*."""
    failures: list[BaseException] = []

    async def patiently(yard: Yard) -> None:
        async with asyncio.timeout(60):
            await scenario(yard)

    def run() -> None:
        try:
            with (
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
                ExitStack() as stack,
            ):
                yard = Yard(root, runner.get_loop(), stack)
                deny(call, number)
                runner.run(patiently(yard))
        except BaseException as failure:  # raised again in the test's own thread
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
