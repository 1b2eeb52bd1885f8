"""The board of every worker, in memory that they and their supervisor share."""

from __future__ import annotations

import mmap

from fileloft_fast.observe.board import Board, board_bytes


class SharedBoards:
    """A slot for each of *workers*, and one more for the supervisor.

    Made before a process is forked. What a worker has counted outlives it.
    """

    def __init__(self, workers: int) -> None:
        self._slots = workers + 1
        self._memory = mmap.mmap(-1, board_bytes(self._slots))
        self._own = Board(self._memory, slots=self._slots, slot=workers)

    def of(self, slot: int) -> Board:
        """Return the board of the worker in *slot*, in its process."""
        return Board(self._memory, slots=self._slots, slot=slot)

    def lost(self, slot: int) -> None:
        """Count a worker that died, whose gauges say nothing any more."""
        Board(self._memory, slots=self._slots, slot=slot)
        self._own.add("fileloft_worker_restarts_total")
