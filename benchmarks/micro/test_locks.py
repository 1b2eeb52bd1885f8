"""Taking the lock of an upload that nobody has, and giving it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.model import UploadId
from fileloft_fast.uploads import Locks
from fileloft_fast.uploads.host import HostLocks, LockFiles, Post

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    from benchmarks.micro.paired import Paired

IDS: Final = [UploadId(f"{number * 7919:032x}") for number in range(100)]


def test_a_lock_of_this_process(paired: Paired, loop: asyncio.AbstractEventLoop) -> None:
    _hold_each(paired, loop, Locks(5))


@pytest.mark.yardstick("kernel")
def test_a_lock_of_the_host(paired: Paired, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
    async def opened() -> HostLocks:
        return HostLocks(5, LockFiles(str(folder)), Post(str(folder)))

    locks = loop.run_until_complete(opened())
    _hold_each(paired, loop, locks)
    locks.close()


@pytest.mark.yardstick("kernel")
def test_a_look_at_a_lock_of_the_host(paired: Paired, folder: Path) -> None:
    files, others = LockFiles(str(folder)), LockFiles(str(folder))
    assert others.try_lock(4711)
    assert not paired(files.is_locked_elsewhere, 4712)
    assert files.is_locked_elsewhere(4711)
    files.close()
    others.close()


def _hold_each(paired: Paired, loop: asyncio.AbstractEventLoop, locks: Locks) -> None:
    held: list[bool] = []

    async def hold_each() -> None:
        held.clear()
        for each in IDS:
            async with locks.hold(each):
                held.append(locks.holder(each) is not None)

    paired(lambda: loop.run_until_complete(hold_each()))
    assert held == [True] * len(IDS)
    assert not locks.queues
