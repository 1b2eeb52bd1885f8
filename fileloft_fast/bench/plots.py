"""Plots of reports, as SVG and PNG; matplotlib comes with the extra ``bench``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.summary import cost, cost_unit, gb_per_s, rows_of, units_per_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from fileloft_fast.bench.results import Report

FORMATS: Final = ("svg", "png")
_TICKS: Final = (50.0, 90.0, 99.0, 99.9, 99.99)
_DPI: Final = 120


def load_figure() -> Any:  # noqa: ANN401 - the class Figure of a library that may not be there
    """Return matplotlib's Figure. Raises BenchError where it is not installed."""
    try:
        import_module("matplotlib").use("agg")
        return import_module("matplotlib.figure").Figure
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "matplotlib":
            raise
        raise BenchError("--plots needs an extra: pip install 'fileloft-fast[bench]'") from missing


def write_plots(report: Report, directory: Path) -> list[Path]:
    """Plot *report* into *directory*, which is made; return the files. Raises OSError, BenchError.

    Latencies over percentiles, rates, and what client and server cost; what a report has none of
    gives no file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rows = [row for row in rows_of(report.results) if row.last.not_offered is None]
    curves = {row.last.work: row.last.latency.curve for row in rows if row.last.latency}
    written = write_curves(directory / "latency", f"Latencies: {report.url}", curves)
    for name, unit, figure in (("bytes", "GB/s", gb_per_s), ("uploads", "uploads/s", units_per_s)):
        found = {row.last.work: row.of(figure) for row in rows}
        bars = {work: (each.median, each.least, each.most) for work, each in found.items() if each}
        written += write_bars(directory / name, f"Rate: {report.url}", unit, {"": bars})
    for unit, name in (("s/GB", "cpu_bytes"), ("s/1,000", "cpu_uploads"), ("% of a core", "cpu")):
        of_unit = [row for row in rows if cost_unit(row.last.work) == unit]
        clients = {row.last.work: row.of(lambda r: cost(r.client_cpu_s, r)) for row in of_unit}
        servers = {row.last.work: row.of_server(lambda s, r: cost(s.cpu_s, r)) for row in of_unit}
        groups = {
            side: {work: (e.median, e.least, e.most) for work, e in found.items() if e}
            for side, found in (("client", clients), ("server", servers))
            if any(found.values())
        }
        written += write_bars(directory / name, f"CPU: {report.url}", unit, groups)
    return written


def write_curves(
    stem: Path, title: str, curves: Mapping[str, Sequence[tuple[float, float]]]
) -> list[Path]:
    """Plot seconds over percentiles, a line for each label, both axes logarithmic."""
    if not curves:
        return []
    figure = load_figure()(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for label, curve in curves.items():
        # the last point, all of them, would be at infinity: it is put where its share would be
        shares = [
            1 / max(1 - percentile / 100, 0.0) if percentile < 100 else 0.0
            for percentile, _ in curve
        ]
        largest = max(shares, default=1.0) * 2
        axes.plot(
            [share or largest for share in shares],
            [max(seconds * 1000, 1e-3) for _, seconds in curve],
            marker=".",
            label=label,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([1 / (1 - tick / 100) for tick in _TICKS], [f"{tick:g} %" for tick in _TICKS])
    axes.minorticks_off()
    axes.set_xlabel("percentile")
    axes.set_ylabel("ms")
    axes.set_title(title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return _save(figure, stem)


def write_bars(
    stem: Path,
    title: str,
    unit: str,
    groups: Mapping[str, Mapping[str, tuple[float, float, float]]],
) -> list[Path]:
    """Plot bars with whiskers: for each group, of each label (median, least, most)."""
    labels = list(dict.fromkeys(label for group in groups.values() for label in group))
    if not labels:
        return []
    figure = load_figure()(figsize=(8, 0.6 * len(labels) * len(groups) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(groups)
    for number, (name, group) in enumerate(groups.items()):
        places = [at + height * number for at, label in enumerate(labels) if label in group]
        found = [group[label] for label in labels if label in group]
        bars = axes.barh(
            places,
            [middle for middle, _, _ in found],
            height * 0.9,
            xerr=[[m - least for m, least, _ in found], [most - m for m, _, most in found]],
            label=name,
        )
        axes.bar_label(bars, fmt="%.3g", padding=6)
    axes.set_yticks([at + height * (len(groups) - 1) / 2 for at in range(len(labels))], labels)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title)
    axes.margins(x=0.15)
    if any(groups):
        axes.legend()
    return _save(figure, stem)


def _save(figure: Any, stem: Path) -> list[Path]:  # noqa: ANN401 - see load_figure
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    for path in paths:
        figure.savefig(path, dpi=_DPI)
    return paths
