"""Waiting for something that the server does in its own time: poll with a deadline.

A deadline is there so that a test ends which would wait for ever; it says nothing about how long
something may take. A rule about that is told by the median, or the least, of several tries: what
one try takes longer than the others is the machine's, which may be slow and busy with other tests.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final, TypeVar

_INTERVAL_S: Final = 0.01
PATIENCE_S: Final = 60.0
"""More than a slow machine needs for anything that takes a fast one a moment."""

_T = TypeVar("_T")


def eventually(
    probe: Callable[[], _T], *, within_s: float = PATIENCE_S, every_s: float = _INTERVAL_S
) -> _T:
    """Return the first true value of *probe*; AssertionError when *within_s* has passed."""
    end = time.monotonic() + within_s
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"not within {within_s} s; last value: {value!r}"
        select.select([], [], [], every_s)
