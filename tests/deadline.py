"""Waiting for something that the server does in its own time: poll with a deadline."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import Final, TypeVar

_INTERVAL_S: Final = 0.01
_T = TypeVar("_T")


def eventually(
    probe: Callable[[], _T], *, within_s: float = 5.0, every_s: float = _INTERVAL_S
) -> _T:
    """Return the first true value of *probe*; AssertionError when *within_s* has passed."""
    end = time.monotonic() + within_s
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < end, f"not within {within_s} s; last value: {value!r}"
        select.select([], [], [], every_s)
