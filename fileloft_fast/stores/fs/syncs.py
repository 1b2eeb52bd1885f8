"""How long those wait that were promised a sync."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from fileloft_fast.observe.request import doing

if TYPE_CHECKING:
    from fileloft_fast.observe.board import Board

T = TypeVar("T")


class SyncClock:
    """Measures jobs of the engine that sync; their turn behind others is part of it."""

    def __init__(self, board: Board) -> None:
        self.seconds = board.histogram("fileloft_sync_seconds")

    async def measured(self, job: Awaitable[T]) -> T:
        """Wait for *job*."""
        began = time.monotonic()
        try:
            with doing("syncing"):
                return await job
        finally:
            self.seconds.observe(time.monotonic() - began)
