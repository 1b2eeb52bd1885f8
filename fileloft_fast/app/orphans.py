"""As PID 1 of a container, a process inherits what its descendants leave behind.

A hook may start a process that outlives it. Once that ends, somebody has to wait for it, or its
entry stays in the process table for as long as the container runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Final

_LOOK_EVERY_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.05


@contextlib.asynccontextmanager
async def orphans_reaped() -> AsyncIterator[None]:
    """Wait for the orphans that end meanwhile, if this process is PID 1."""
    if os.getpid() != 1:
        yield
        return
    reaping = asyncio.get_running_loop().create_task(_reap())
    try:
        yield
    finally:
        reaping.cancel()
        await asyncio.wait([reaping])


async def _reap() -> None:
    seen: int | None = None
    while True:
        await asyncio.sleep(_LOOK_EVERY_S if seen is None else _LOOK_AGAIN_S)
        seen = reap_orphans(seen)


def reap_orphans(seen: int | None) -> int | None:
    """Reap the child *seen*, if it has ended; return another one that has.

    The loop waits for its own children as soon as it hears of their end, which it does between two
    calls: one that is here at both belongs to nobody else.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if ended is None or ended.si_pid != seen:
            return None if ended is None else ended.si_pid
        os.waitpid(ended.si_pid, os.WNOHANG)
