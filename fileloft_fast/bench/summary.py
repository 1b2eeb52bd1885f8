"""Several rounds of a work as one row: medians, and between which figures they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fileloft_fast.bench.results import Latency, Result, ServerUse


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some rounds' figures, the least and the most."""

    median: float
    least: float
    most: float
    rounds: int


def spread(figures: Iterable[float | None]) -> Spread | None:
    """Return the spread of those *figures* that there are, None where there are none."""
    known = [figure for figure in figures if figure is not None]
    return Spread(median(known), min(known), max(known), len(known)) if known else None


@dataclass(frozen=True, slots=True)
class Row:
    """The rounds of one work, in order."""

    results: Sequence[Result]

    @property
    def last(self) -> Result:
        """The last round, for what is the same in each."""
        return self.results[-1]

    def of(self, figure: Callable[[Result], float | None]) -> Spread | None:
        """Return the spread of a figure."""
        return spread(figure(result) for result in self.results)

    def of_latency(self, figure: Callable[[Latency], float]) -> Spread | None:
        """Return the spread of a figure of the latency."""
        return spread(figure(result.latency) for result in self.results if result.latency)

    def of_server(self, figure: Callable[[ServerUse, Result], float | None]) -> Spread | None:
        """Return the spread of a figure of the server."""
        return spread(figure(result.server, result) for result in self.results if result.server)


def rows_of(results: Iterable[Result]) -> list[Row]:
    """Return a row for each work by each protocol, in the order of their first rounds."""
    rounds: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        rounds.setdefault((result.work, result.protocol), []).append(result)
    return [Row(of_work) for of_work in rounds.values()]


def gb_per_s(result: Result) -> float | None:
    """Return how fast bytes moved; None where the work is not about bytes."""
    by_bytes = result.work in BY_BYTES and result.seconds
    return result.bytes / result.seconds / 1e9 if by_bytes else None


def units_per_s(result: Result) -> float | None:
    """Return how many units succeeded in a second; None where that is not the work's matter."""
    by_units = result.work in BY_UNITS and result.seconds
    return (result.units - result.failed) / result.seconds if by_units else None


def cost(cpu_s: float, result: Result) -> float | None:
    """Return CPU seconds for what the work counts in: GB, 1,000 uploads; a core's percent."""
    if result.work in BY_BYTES:
        return cpu_s / result.bytes * 1e9 if result.bytes else None
    if result.work in BY_UNITS:
        done = result.units - result.failed
        return cpu_s / done * 1000 if done > 0 else None
    return cpu_s / result.seconds * 100 if result.seconds else None


def cost_unit(work: str) -> str:
    """Return in what ``cost`` is."""
    if work in BY_BYTES:
        return "s/GB"
    return "s/1,000" if work in BY_UNITS else "% of a core"


BY_BYTES = frozenset({"large", "streams", "chunks", "download"})
BY_UNITS = frozenset({"small"})
