"""A delimiter is found while bytes still come, whatever has come at each look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from fileloft_fast.storages.file_end import FileEnd

if TYPE_CHECKING:
    from fileloft_fast.stores import FsAppender

DELIMITER = b"\r\n--bound"


class Appended:
    """What is stored of *data*; keeps count of what was searched."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.searched: list[tuple[int, int]] = []
        self.looked = asyncio.Event()

    async def find(self, needle: bytes, start: int, end: int) -> int:
        self.searched.append((start, end))
        self.looked.set()
        await asyncio.sleep(0)
        return self.data.find(needle, start, end)


def end_in(appended: Appended, start: int = 0, step_bytes: int = 20) -> FileEnd:
    appender = cast("FsAppender", appended)
    return FileEnd(appender, DELIMITER, start, step_bytes=step_bytes, look_s=0.001)


async def searched(appended: Appended, place: int) -> int:
    """Return where the delimiter at *place* is found, after a look at each 25 bytes more."""
    end = end_in(appended)
    stored = 0
    async with end.followed(lambda: stored, len(appended.data)):
        for stored in range(25, 101, 25):
            appended.looked.clear()
            if place + len(DELIMITER) > stored - 25:
                await appended.looked.wait()
    return await end.find(len(appended.data))


@pytest.mark.parametrize("place", [*range(0, 100, 7), 95])
def test_a_delimiter_is_found_wherever_a_look_ends(place: int) -> None:
    appended = Appended(b"." * place + DELIMITER + b"." * (200 - place))
    assert asyncio.run(searched(appended, place)) == place
    # nothing is searched twice but what may begin a delimiter
    ends = [end for _, end in appended.searched]
    starts = [start for start, _ in appended.searched]
    assert starts == [0, *[end - len(DELIMITER) + 1 for end in ends[:-1]]]


def test_a_short_file_is_searched_once() -> None:
    async def scene() -> int:
        end = end_in(appended, start=3)
        async with end.followed(lambda: 20, 20):
            pass
        return await end.find(20)

    appended = Appended(b"." * 20)
    assert asyncio.run(scene()) == -1
    assert appended.searched == [(3, 20)]


def test_a_search_ends_before_its_file_can_be_closed() -> None:
    async def scene() -> None:
        try:
            async with end_in(appended).followed(lambda: 100, 100):
                await appended.looked.wait()
                raise ZeroDivisionError
        finally:
            tasks.append(len(asyncio.all_tasks()))

    tasks: list[int] = []
    appended = Appended(b"." * 100)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(scene())
    assert tasks == [1]
