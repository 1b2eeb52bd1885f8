"""One file of the outbox with what of it is known here: events under way, and those in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import HookEvent
from fileloft_fast.hooks.outbox.entries import Event, Made, Told, Void, parse

if TYPE_CHECKING:
    from fileloft_fast.hooks.outbox.segment import Segment

PAGE_BYTES: Final = 4 * 1024 * 1024
"""A file that is so long takes no more events; what hooks have been told is still noted in it."""

_WARM_PAGES: Final = 2
_HELD_UP_PAGES: Final = 8


class Item:
    """One event; *left* names the hooks that do not have it yet."""

    __slots__ = ("at", "body", "event", "key", "left", "n", "page", "told", "tries", "upload")

    def __init__(self, page: Page, event: Event) -> None:
        self.page = page
        self.n = event.n
        self.key = event.key
        self.event = HookEvent(event.event)
        self.upload = event.upload
        self.at = event.at
        self.body = event.body
        self.left: set[str] = set()
        self.told: set[str] = set()
        self.tries: dict[str, int] = {}


class Page:
    """A file, and its events: *items* that came true and are being told, *doubts* that may have.

    *warm*: its events are being told. Of one that is not, nothing but the doubts is in memory once
    it takes no more events.
    """

    def __init__(self, segment: Segment, *, warm: bool) -> None:
        self.segment = segment
        self.warm = warm
        self.live = False
        self.items: dict[int, Item] = {}
        self.doubts: dict[int, Item] = {}
        self._next = 0

    @property
    def full(self) -> bool:
        """Whether the next event goes elsewhere."""
        return self.segment.size >= PAGE_BYTES

    @property
    def over(self) -> bool:
        """Whether nobody needs the file any more."""
        return self.warm and not (self.live or self.items or self.doubts)

    def number(self) -> int:
        """Return a number that no other event of the file has."""
        self._next += 1
        return self._next

    def drop(self, item: Item) -> None:
        """Forget *item*, which has been told or did not come true."""
        self.items.pop(item.n, None)
        self.doubts.pop(item.n, None)

    def cool(self) -> None:
        """Forget what can be read again."""
        self.warm = False
        self.items.clear()

    async def load(self) -> tuple[list[Item], list[Item], int]:
        """Read the file; return what is to be told, what is in doubt, how many lines are damaged.

        What this process has in doubt itself is left to it.
        """
        ours = frozenset(self.doubts)  # whatever is read of them, who has them in doubt decides
        contents = await self.segment.read()
        loop = asyncio.get_running_loop()
        entries, damaged = await loop.run_in_executor(None, parse, contents)
        found: dict[int, Item] = {}
        made: dict[int, bool] = {}
        for entry in entries:
            match entry:
                case Event() if _is_known(entry.event):
                    found[entry.n] = Item(self, entry)
                    made[entry.n] = entry.made
                    self._next = max(self._next, entry.n)
                case Event():
                    damaged += 1  # of a later version: nobody here can tell it
                case Made() if item := found.get(entry.n):
                    made[entry.n] = True
                    item.body = entry.body or item.body
                case Void():
                    found.pop(entry.n, None)
                case Told() if item := found.get(entry.n):
                    item.told.add(entry.sink)
                case _:
                    pass  # about an event whose line was damaged
        for number in ours:
            found.pop(number, None)
        true = [item for item in found.values() if made[item.n]]
        doubtful = [item for item in found.values() if not made[item.n]]
        self.items.update((item.n, item) for item in true)
        self.doubts.update((item.n, item) for item in doubtful)
        return true, doubtful, damaged


def _is_known(event: str) -> bool:
    return event in {known.value for known in HookEvent}


def has_room(pages: Iterable[Page], sinks: Collection[str], down: Collection[str]) -> bool:
    """Return whether the events of one more file fit into memory beside those of *pages*.

    An event that a hook has refused, or that waits for none but hooks that are *down*, must not
    hold up those that other *sinks* could have: such ones have room of their own.
    """
    fresh = held_up = 0
    for page in pages:
        for item in page.items.values():
            if len(down) < len(sinks) and all(
                sink in down or sink in item.tries for sink in item.left
            ):
                held_up += len(item.body)
            else:
                fresh += len(item.body)
    return fresh <= (_WARM_PAGES - 1) * PAGE_BYTES and held_up <= _HELD_UP_PAGES * PAGE_BYTES
