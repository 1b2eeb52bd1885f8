"""Pages of lists: what a delimiter rolls up, also where more lies below it than is read through."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from fileloft_fast.s3front.lists import list_page
from fileloft_fast.storages.entry import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fileloft_fast.storages.named import NamedStorage

MANY = [f"many/{number:05}" for number in range(3000)]
PATHS = sorted(["a", *MANY, "many.txt", "z/1", "z/2"])


class Paths:
    """A storage that has objects at ``PATHS``, and counts those that were read."""

    def __init__(self) -> None:
        self.read = 0

    async def entries(self, prefix: str = "", after: str = "") -> AsyncIterator[Entry]:
        for path in PATHS:
            if path.startswith(prefix) and path > after:
                self.read += 1
                yield Entry(path=path, size=0, etag="")


def pages(paths: Paths, most: int, *, prefix: str = "", delimiter: str = "/") -> list[str]:
    """Return everything that a list shows, page by page."""
    shown: list[str] = []
    after = ""
    while True:
        page = asyncio.run(list_page(cast("NamedStorage", paths), prefix, delimiter, after, most))
        shown += sorted([*(entry.path for entry in page.objects), *page.prefixes])
        assert len(page.objects) + len(page.prefixes) <= most
        if not page.following:
            return shown
        after = page.following


@pytest.mark.parametrize("most", [1, 2, 3, 1000])
def test_what_lies_below_a_delimiter_is_shown_once_and_not_read_to_its_end(most: int) -> None:
    paths = Paths()
    assert pages(paths, most) == ["a", "many.txt", "many/", "z/"]
    assert paths.read < len(MANY)


@pytest.mark.parametrize("most", [7, 1000])
def test_without_a_delimiter_all_of_a_prefix_is_shown(most: int) -> None:
    assert pages(Paths(), most, prefix="many/", delimiter="") == MANY
    assert pages(Paths(), most, prefix="z", delimiter="2") == ["z/1", "z/2"]
