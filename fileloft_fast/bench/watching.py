"""Who looks on while a work runs; a terminal's bars are in ``cli/progress.py``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Tell = Callable[[int], object]
"""Called with how much is done by now."""


class Progress(Protocol):
    """One who looks on."""

    def watch(self, title: str, total: int, unit: str) -> AbstractContextManager[Tell | None]:
        """Return a context whose value is told how much is done, None where nobody looks.

        *unit* is ``B`` for bytes.
        """


class Silent:
    """Nobody looks on."""

    def watch(self, title: str, total: int, unit: str) -> AbstractContextManager[Tell | None]:  # noqa: ARG002 - told nobody
        """Return a context that tells nobody."""
        return nullcontext()
