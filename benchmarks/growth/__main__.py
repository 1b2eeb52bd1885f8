"""Measure how cost grows: ``python -m benchmarks.growth [--only CURVE …] [--sizes N …] [--quick]``.

Each point is added to ``results.json``; the pictures and the tables are made of all that is there.
The full run takes about 20 minutes and makes two million files, which it leaves for the next run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.growth import connections, directories, uploads
from benchmarks.growth.plots import draw, render_tables
from benchmarks.growth.results import RESULTS, add_point, read_curves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.growth.results import Values

_CURVES: Final[dict[str, tuple[Callable[[Path, int], Values], Sequence[int], Sequence[int]]]] = {
    "uploads": (uploads.measure, uploads.SIZES, uploads.QUICK),
    "idle": (connections.measure_idle, connections.SIZES, connections.QUICK),
    "trickling": (connections.measure_trickling, connections.SIZES, connections.QUICK),
    "directories": (directories.measure, directories.SIZES, directories.QUICK),
    "listing": (directories.measure_listing, directories.SIZES, directories.QUICK),
}

_KEPT_FROM: Final = 100_000  # directories as large as this are used again


def main() -> None:
    """Measure what is asked for, then draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*_CURVES, "plots"], default=[*_CURVES])
    parser.add_argument("--sizes", nargs="+", type=int, help="instead of those of each curve")
    parser.add_argument("--quick", action="store_true", help="the smaller sizes, in two minutes")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/fileloft-growth"))  # noqa: S108 - no secret, and kept
    parser.add_argument("--results", type=Path, default=RESULTS)
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="run-", dir=wanted.folder))
    for curve in wanted.only:
        if curve in _CURVES:
            measure, full, quick = _CURVES[curve]
            for size in wanted.sizes or (quick if wanted.quick else full):
                kept = curve in {"directories", "listing"} and size >= _KEPT_FROM
                values = measure(wanted.folder if kept else fresh, size)
                add_point(wanted.results, curve, size, values)
                shown = " ".join(f"{name}={value:.4g}" for name, value in values.items())
                sys.stdout.write(f"{curve} {size}: {shown}\n")
                sys.stdout.flush()
    curves = read_curves(wanted.results)
    draw(curves, wanted.results.parent)
    (wanted.results.parent / "tables.txt").write_text(render_tables(curves), encoding="utf-8")


if __name__ == "__main__":
    main()
