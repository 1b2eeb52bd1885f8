"""A yard whose threads wait in one system call until the test has seen it, and perhaps answers it.

The kernel hands every such call to a thread of the test (seccomp user notification): so a test can
stand between two steps of the engine.
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from fcntl import ioctl
from typing import TYPE_CHECKING, Final

from tests.native.denial import run_filtered, set_filter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.native.yard import Yard

SECCOMP_RET_USER_NOTIF: Final = 0x7FC00000
SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 8
SECCOMP_USER_NOTIF_FLAG_CONTINUE: Final = 1
NOTIFICATION: Final = struct.Struct("QIIiIQ6Q")
RESPONSE: Final = struct.Struct("QqiI")
RECEIVE: Final = 0xC0002100 | NOTIFICATION.size << 16
SEND: Final = 0xC0002101 | RESPONSE.size << 16


def watch_calls(call: str) -> int:
    """Watch *call* in this thread and in those that it starts; return the listener."""
    return set_filter(call, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER)


@dataclass
class Watch:
    """Hands each call's arguments to ``answer``, in a thread of its own.

    None lets the call happen, another number is its result, a negative one -errno.
    """

    answer: Callable[[Watch, tuple[int, ...]], int | None]
    listener: int
    failures: list[BaseException] = field(default_factory=list)

    def another_waits(self, timeout_ms: int) -> bool:
        """Whether a further call comes while this one is looked at."""
        waiting = select.poll()
        waiting.register(self.listener, select.POLLIN)
        return bool(waiting.poll(timeout_ms))

    def run(self, installed: threading.Event) -> None:
        """Answer, once it is *installed*, until the last thread that is watched has ended."""
        installed.wait()
        waiting = select.poll()
        waiting.register(self.listener, select.POLLIN)
        while waiting.poll()[0][1] & select.POLLIN:
            call = bytearray(NOTIFICATION.size)
            ioctl(self.listener, RECEIVE, call)
            identity, *_, a, b, c, d, e, f = NOTIFICATION.unpack(call)
            result: int | None = None
            try:
                result = self.answer(self, (a, b, c, d, e, f))
            except BaseException as failure:  # raised again in the test's own thread
                self.failures.append(failure)
            response = (identity, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE)
            if result is not None:
                response = (identity, max(result, 0), min(result, 0), 0)
            ioctl(self.listener, SEND, bytearray(RESPONSE.pack(*response)))


def run_watched(
    root: Path,
    call: str,
    answer: Callable[[Watch, tuple[int, ...]], int | None],
    scenario: Callable[[Yard], Awaitable[None]],
) -> None:
    """Run *scenario* on a yard in *root* where each *call* waits for *answer*."""
    watch = Watch(answer, -1)
    installed = threading.Event()
    thread = threading.Thread(target=watch.run, args=(installed,))

    def install() -> None:
        watch.listener = watch_calls(call)
        installed.set()

    thread.start()  # before the filter, or it would watch itself
    run_filtered(root, install, scenario)
    thread.join()
    os.close(watch.listener)
    if watch.failures:
        raise watch.failures[0]
