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

PR_SET_NO_NEW_PRIVS: Final = 38
SECCOMP_SET_MODE_FILTER: Final = 1
SECCOMP_RET_ERRNO: Final = 0x00050000
SECCOMP_RET_ALLOW: Final = 0x7FFF0000
LOAD_NUMBER, IF_EQUAL, RETURN = 0x20, 0x15, 0x06

NUMBERS: Final = {
    "x86_64": {
        "clone": 56, "clone3": 435, "copy_file_range": 326, "epoll_ctl": 233, "fallocate": 285,
        "fdatasync": 75, "fstatat": 262, "fsync": 74, "pipe2": 293, "pread": 17, "seccomp": 317,
        "splice": 275, "sync_file_range": 277,
    },
    "aarch64": {
        "clone": 220, "clone3": 435, "copy_file_range": 285, "epoll_ctl": 21, "fallocate": 47,
        "fdatasync": 83, "fstatat": 79, "fsync": 82, "pipe2": 59, "pread": 67, "seccomp": 277,
        "splice": 76, "sync_file_range": 84,
    },
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def set_filter(call: str, action: int, flags: int = 0) -> int:
    """Let the kernel answer *call* with *action*; return what the system call returned.

    It holds for this thread and for those that it starts.
    """
    lines = (
        (LOAD_NUMBER, 0, 0, 0),
        (IF_EQUAL, 0, 1, NUMBERS[platform.machine()][call]),
        (RETURN, 0, 0, action),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    libc = ctypes.CDLL(None, use_errno=True)
    program = ctypes.byref(_Program(len(lines), code))
    result = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if result == 0:
        seccomp = NUMBERS[platform.machine()]["seccomp"]
        result = libc.syscall(seccomp, SECCOMP_SET_MODE_FILTER, flags, program)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def deny(call: str, number: int) -> None:
    """Let *call* fail with errno *number* in this thread and in those that it starts."""
    set_filter(call, SECCOMP_RET_ERRNO | number)


def run_denied(
    root: Path, call: str, number: int, scenario: Callable[[Yard], Awaitable[None]]
) -> None:
    """Run *scenario* on a yard in *root* where *call* fails with errno *number*."""
    run_filtered(root, lambda: deny(call, number), scenario)


def run_filtered(
    root: Path, install: Callable[[], None], scenario: Callable[[Yard], Awaitable[None]]
) -> None:
    """Run *scenario* on a yard in *root*, in a thread of its own, after *install*."""
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
                install()
                runner.run(patiently(yard))
        except BaseException as failure:  # raised again in the test's own thread
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
