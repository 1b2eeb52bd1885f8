"""The board: every number that is told of the server, in one flat row of doubles a process.

Hot code does ``cells[i] += 1`` on its own slot and pays for no lock; whoever scrapes adds all slots
up. A slot is shared memory where several workers serve: see docs/adr/0018.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from fileloft_fast.observe.table import METRICS, Across, Kind, Metric

if TYPE_CHECKING:
    from mmap import mmap

Cells: TypeAlias = "memoryview[float]"

_CELL_BYTES: Final = 8
_LINE_BYTES: Final = 64  # two processes must not write to one line of the cache


def _layout() -> tuple[Mapping[str, tuple[Metric, Mapping[tuple[str, ...], int]]], int]:
    """Return each metric with the place of its series, and how many cells there are."""
    places: dict[str, tuple[Metric, Mapping[tuple[str, ...], int]]] = {}
    end = 0
    for metric in METRICS:
        width = metric.width
        firsts = {labels: end + number * width for number, labels in enumerate(metric.series)}
        places[metric.name] = metric, firsts
        end += width * len(metric.series)
    return places, end


_PLACES, _CELLS = _layout()
_STRIDE: Final = -(-_CELLS * _CELL_BYTES // _LINE_BYTES) * _LINE_BYTES


class Histogram:
    """Where the values of one series are counted, by size."""

    __slots__ = ("_bounds", "_cells", "_first", "_sum")

    def __init__(self, cells: Cells, first: int, bounds: tuple[float, ...]) -> None:
        self._cells = cells
        self._first = first
        self._sum = first + len(bounds) + 1
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count *value*."""
        cells = self._cells
        cells[self._first + bisect_left(self._bounds, value)] += 1
        cells[self._sum] += value


class Board:
    """The numbers of one process, in its *slot* of *memory*; None: memory of its own.

    Several processes share *memory* of ``board_bytes(slots)`` bytes, zeroed at first, each with a
    slot. A process that takes over a dead one's slot goes on with its counters, since what was
    counted has happened; its gauges begin at 0.
    """

    def __init__(
        self, memory: mmap | bytearray | None = None, *, slots: int = 1, slot: int = 0
    ) -> None:
        if not 0 <= slot < slots:
            raise ValueError(f"no slot {slot} among {slots}")
        whole = memoryview(bytearray(board_bytes(slots)) if memory is None else memory)
        self._slots: list[Cells] = [
            whole[start : start + _CELLS * _CELL_BYTES].cast("d")
            for start in range(0, slots * _STRIDE, _STRIDE)
        ]
        self.cells: Cells = self._slots[slot]
        """This process's own, to be added to."""
        for metric, firsts in _PLACES.values():
            if metric.kind is Kind.GAUGE:
                for first in firsts.values():
                    self.cells[first] = 0.0

    def cell(self, name: str, *labels: str) -> int:
        """Return the place of a counter or a gauge among ``cells``. KeyError: not in the table."""
        metric, firsts = _PLACES[name]
        assert metric.kind is not Kind.HISTOGRAM
        return firsts[labels]

    def histogram(self, name: str, *labels: str) -> Histogram:
        """Return where values of a series are counted. KeyError: not in the table."""
        return Histogram(self.cells, *self.buckets(name, *labels))

    def buckets(self, name: str, *labels: str) -> tuple[int, tuple[float, ...]]:
        """Return where a histogram begins among ``cells``, and its bounds. KeyError: not in it."""
        metric, firsts = _PLACES[name]
        assert metric.kind is Kind.HISTOGRAM
        return firsts[labels], metric.bounds

    def close(self) -> None:
        """Let the memory go; nothing may be counted afterwards."""
        for cells in self._slots:
            cells.release()

    def add(self, name: str, *labels: str, by: float = 1.0) -> None:
        """Add to a counter, where a look into the table costs nothing that matters."""
        self.cells[self.cell(name, *labels)] += by

    def read(self, name: str, *labels: str) -> list[float]:
        """Return a series over all slots: its one value, or buckets and sum of a histogram."""
        metric, firsts = _PLACES[name]
        first = firsts[labels]
        rows = [cells[first : first + metric.width].tolist() for cells in self._slots]
        together = max if metric.across is Across.MOST else sum
        return [together(column) for column in zip(*rows, strict=True)]


def board_bytes(slots: int) -> int:
    """Return how much memory *slots* processes share."""
    return slots * _STRIDE
