"""What the IETF's protocol costs beside tus, and what tus costs beside the server of another tree.

    python -m benchmarks.protocols [--rounds 5] [--before TREE] [--only small --only large]

CPU time of the server, user and system, for 1,000 uploads of 4 KiB by one request each and for each
GB of an upload by one PATCH; and, on a single connection, the time from a request to its answer. In
each round a server is started afresh and asked by both protocols, in turns the one and the other
first. With ``--before`` tus alone is asked, of two servers: ours, and that of a work tree that is
built. A ratio is the median of the rounds' ratios: the machine is shared, so look at these.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers import ours, say
from fileloft_fast.bench import WORKS, Process, Result, Sizes, Source, discover, measure
from fileloft_fast.bench.dialects import DIALECTS
from fileloft_fast.bench.summary import cost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.peers import Peer
    from fileloft_fast.bench.dialects import Dialect

GIB: Final = 1024**3
TUS: Final = DIALECTS["tus"]


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured: a work, its sizes, and which of its figures counts."""

    unit: str
    work: str
    sizes: Sizes
    of: Callable[[Result], float]


def server_cpu_s(result: Result) -> float:
    """Return the server's CPU time for a GB or 1,000 uploads."""
    found = None if result.server is None else cost(result.server.cpu_s, result)
    if found is None:
        raise RuntimeError(f"nothing was measured: {result}")
    return found


def median_ms(result: Result) -> float:
    """Return the median of the uploads' times."""
    if result.latency is None:
        raise RuntimeError(f"nothing was measured: {result}")
    return result.latency.p50_s * 1000


FIGURES: Final = {
    "small": Figure("CPU s/1,000", "small", Sizes(small_count=10_000), server_cpu_s),
    "alone": Figure("ms", "small", Sizes(small_count=3000, connections=1), median_ms),
    "large": Figure("CPU s/GB", "large", Sizes(size_bytes=2 * GIB), server_cpu_s),
}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    name: str
    dialect: Dialect = TUS
    tree: Path | None = None


def ask(peer: Peer, side: Side, figure: Figure, source: Source) -> float:
    """Measure one figure. Raises RuntimeError where anything failed."""
    target = discover(peer.url, dialect=side.dialect)
    process = Process(peer.pid)
    result = measure(WORKS[figure.work], target, figure.sizes, process=process, source=source)
    if result.failures or result.not_offered:
        raise RuntimeError(f"{side.name}: {result.not_offered or result.first_failure}")
    return figure.of(result)


def round_of(sides: tuple[Side, Side], figure: Figure, folder: Path, sync: str) -> list[float]:
    """Measure both sides, in this order: on one server where it is the same tree's."""
    settings = {"FILELOFT_SYNC": sync}
    one, other = sides
    with Source() as source, ours(folder / "data", settings, one.tree) as peer:
        figures = [ask(peer, one, figure, source)]
        if one.tree == other.tree:
            return [*figures, ask(peer, other, figure, source)]
    with Source() as source, ours(folder / "other", settings, other.tree) as peer:
        return [*figures, ask(peer, other, figure, source)]


def compare(sides: tuple[Side, Side], asked: argparse.Namespace, parent: Path) -> None:
    """Measure both sides in turns, and print the medians."""
    for name, figure in scaled(asked):
        found: dict[str, list[float]] = defaultdict(list)
        for turn in range(asked.rounds + 1):  # the first warms up and does not count
            folder = Path(tempfile.mkdtemp(dir=parent))
            ordered = sides if turn % 2 else sides[::-1]
            for side, value in zip(
                ordered, round_of(ordered, figure, folder, asked.sync), strict=True
            ):
                if turn:
                    found[side.name].append(value)
            if figure.work == "large":  # one file: not a mass
                shutil.rmtree(folder)
        one, other = (found[side.name] for side in sides)
        ratios = [mine / theirs for mine, theirs in zip(other, one, strict=True)]
        say(
            f"{name:6} {sides[0].name} {statistics.median(one):.4g},"
            f" {sides[1].name} {statistics.median(other):.4g} {figure.unit};"
            f" {statistics.median(ratios):.3f} x ({min(ratios):.3f} to {max(ratios):.3f})"
        )


def scaled(asked: argparse.Namespace) -> Iterator[tuple[str, Figure]]:
    """Yield what was asked for, a part of its size."""
    for name in asked.only or FIGURES:
        sizes = FIGURES[name].sizes
        count = max(1, round(sizes.small_count * asked.scale))
        size = max(1, round(sizes.size_bytes * asked.scale))
        yield name, replace(FIGURES[name], sizes=replace(sizes, small_count=count, size_bytes=size))


def main() -> int:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=FIGURES, help="may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes and counts (1)")
    parser.add_argument("--sync", default="none", help="FILELOFT_SYNC")
    parser.add_argument("--before", type=Path, metavar="TREE", help="a work tree that is built")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    parent = Path(tempfile.mkdtemp(prefix="protocols-", dir=asked.dir)).resolve()
    if asked.before is None:
        compare((Side("tus"), Side("ietf", DIALECTS["ietf"])), asked, parent)
    else:
        compare((Side("before", tree=asked.before), Side("now")), asked, parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
