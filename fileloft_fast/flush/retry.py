"""When to try again what has failed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Backoff:
    """Waits that double up to a cap, each drawn between nothing and that (full jitter).

    Thousands of uploads that fail together would otherwise come back together.
    """

    __slots__ = ("_cap_s", "_ceiling_s", "_draw", "_first_s")

    def __init__(
        self,
        first_s: float = 0.2,
        cap_s: float = 30.0,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first_s = first_s
        self._cap_s = cap_s
        self._draw = draw
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Return how long to wait now; the next wait may be twice as long."""
        ceiling = min(self._ceiling_s, self._cap_s)
        self._ceiling_s = min(2 * ceiling, self._cap_s)
        return self._draw() * ceiling

    def reset(self) -> None:
        """Begin anew with the shortest wait: something has worked."""
        self._ceiling_s = self._first_s
