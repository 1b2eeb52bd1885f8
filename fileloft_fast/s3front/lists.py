"""One page of a list: objects in order, and what lies below a delimiter as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage

LAST: Final = "~"
"""What comes after everything that a path may have."""

_MOST_PASSED: Final = 1000


class Page(NamedTuple):
    """Objects and common prefixes; *following* is where the next page begins, "" on the last."""

    objects: list[Entry]
    prefixes: list[str]
    following: str


async def list_page(
    storage: NamedStorage, prefix: str, delimiter: str, after: str, most: int
) -> Page:
    """Return at most *most* objects and prefixes that come after *after*."""
    objects: list[Entry] = []
    prefixes: list[str] = []
    last = ""
    if most == 0 or not prefix.isascii():
        return Page(objects, prefixes, "")
    async for found in _rolled_up(storage, prefix, delimiter, as_ascii(after)):
        if len(objects) + len(prefixes) == most:
            return Page(objects, prefixes, last)
        if isinstance(found, str):
            prefixes.append(last := found)
        else:
            objects.append(found)
            last = found.path
    return Page(objects, prefixes, "")


async def _rolled_up(
    storage: NamedStorage, prefix: str, delimiter: str, after: str
) -> AsyncIterator[Entry | str]:
    """Go through objects, and once through each prefix that ends with *delimiter*."""
    # A page may have ended with a common prefix: nothing below it comes again.
    common = _common(after, prefix, delimiter)
    common = common if common == after else ""
    while True:
        passed = 0
        async for entry in storage.entries(prefix, after):
            if common and entry.path.startswith(common):
                passed += 1
                if passed > _MOST_PASSED:
                    break
                continue
            common = _common(entry.path, prefix, delimiter)
            passed = 0
            yield common or entry
        else:
            return
        after = common + LAST  # a look for what comes next costs less than to read all of it


def _common(path: str, prefix: str, delimiter: str) -> str:
    """Return *path* up to the first *delimiter* after *prefix*, "" where there is none."""
    if not delimiter or not path.startswith(prefix):
        return ""
    end = path.find(delimiter, len(prefix))
    return "" if end < 0 else path[: end + len(delimiter)]


def as_ascii(after: str) -> str:
    """Return a text after which the same paths come as after *after*: they are ASCII."""
    for at, char in enumerate(after):
        if not char.isascii():
            return after[:at] + "\x7f"
    return after
