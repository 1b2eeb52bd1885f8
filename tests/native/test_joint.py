"""Who wants a directory synced while that is done waits for the next fsync, one for all."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.dataplane import SYNC_NAME
from tests.deadline import eventually
from tests.native.watch import Watch, run_watched

if TYPE_CHECKING:
    from tests.native.yard import Yard

NAMES = "abcde"


def _asleep() -> bool:
    """Whether each thread that syncs waits for something."""
    threads = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path("/proc/self/task").iterdir()
        if (task / "comm").read_text() == "fl-sync\n"
    ]
    return len(threads) == len(NAMES) and set(threads) == {"S"}


class _Disk:
    """Holds the first fsync up until everybody else waits for the next; one of them may fail."""

    def __init__(self, root: Path, failing: int = 0) -> None:
        self.calls = 0
        self._root = root
        self._failing = failing

    def answer(self, _: Watch, __: tuple[int, ...]) -> int | None:
        self.calls += 1
        if self.calls == 1:
            eventually(lambda: not self._left() and _asleep())
        return -errno.EIO if self.calls == self._failing else None

    def _left(self) -> bool:
        return any((self._root / name).exists() for name in NAMES)


async def _remove_all(yard: Yard) -> list[int | BaseException]:
    for name in NAMES:
        yard.write(name, b"")
    jobs = [yard.engine.remove(yard.directory, [name.encode()], SYNC_NAME) for name in NAMES]
    return await asyncio.gather(*jobs, return_exceptions=True)


def test_one_fsync_serves_all_who_waited_for_it(tmp_path: Path) -> None:
    disk = _Disk(tmp_path)

    async def scenario(yard: Yard) -> None:
        assert await _remove_all(yard) == [1] * len(NAMES)

    run_watched(tmp_path, "fsync", disk.answer, scenario)
    assert disk.calls == 2


@pytest.mark.parametrize(("failing", "told"), [(1, len(NAMES)), (2, len(NAMES) - 1)])
def test_an_fsync_that_fails_has_failed_for_all_whose_names_it_may_have_taken_along(
    tmp_path: Path, failing: int, told: int
) -> None:
    disk = _Disk(tmp_path, failing)

    async def scenario(yard: Yard) -> None:
        ends = await _remove_all(yard)
        failures = [end for end in ends if isinstance(end, OSError)]
        assert [failure.errno for failure in failures] == [errno.EIO] * told

    run_watched(tmp_path, "fsync", disk.answer, scenario)
    assert disk.calls == 2


def test_each_directory_is_synced(tmp_path: Path) -> None:
    seen: set[int] = set()

    async def scenario(yard: Yard) -> None:
        (tmp_path / "other").mkdir()
        other = os.open(tmp_path / "other", os.O_RDONLY | os.O_DIRECTORY)
        yard.stack.callback(os.close, other)
        for name in ("a", "other/a"):
            yard.write(name, b"")
        jobs = [yard.engine.remove(place, [b"a"], SYNC_NAME) for place in (yard.directory, other)]
        assert await asyncio.gather(*jobs) == [1, 1]
        assert seen == {yard.directory, other}

    run_watched(tmp_path, "fsync", lambda _, call: seen.add(call[0]), scenario)


def test_nobody_is_forgotten_where_many_sync(tmp_path: Path) -> None:
    rounds = 30

    async def scenario(yard: Yard) -> None:
        for _ in range(rounds):
            assert await _remove_all(yard) == [1] * len(NAMES)

    calls: list[int] = []
    run_watched(tmp_path, "fsync", lambda *_: calls.append(1), scenario)
    assert rounds <= len(calls) <= rounds * len(NAMES)
