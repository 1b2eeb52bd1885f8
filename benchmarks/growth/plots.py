"""The curves as pictures, SVG and PNG, and as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.growth.results import FOLDER, exponent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.growth.results import Curve

# A picture: its file, its title, what is along and up, and its lines: curve, quantity, label.
Picture = tuple[str, str, str, str, tuple[tuple[str, str, str], ...]]

_UPLOADS: Final = "uploads in the directory"
_OPEN: Final = "connections"

PICTURES: Final[Sequence[Picture]] = (
    (
        "upload-cost",
        "One upload",
        "bytes",
        "seconds for each GB",
        (("uploads", "seconds_per_gb", "time"), ("uploads", "cpu_s_per_gb", "CPU of the server")),
    ),
    (
        "upload-memory",
        "One upload",
        "bytes",
        "MiB",
        (("uploads", "peak_rss_mib", "peak of the server's memory"),),
    ),
    (
        "connection-memory",
        "Connections",
        _OPEN,
        "MiB of two workers",
        (("idle", "memory_mib", "idle"), ("trickling", "memory_mib", "uploads that trickle")),
    ),
    (
        "connection-cpu",
        "Connections",
        _OPEN,
        "% of a core",
        (("idle", "cpu_percent", "idle"), ("trickling", "cpu_percent", "uploads that trickle")),
    ),
    (
        "connection-latency",
        "HEAD beside connections",
        _OPEN,
        "ms",
        (
            ("idle", "head_p50_ms", "idle, median"),
            ("idle", "head_p99_ms", "idle, p99"),
            ("trickling", "head_p50_ms", "trickling, median"),
            ("trickling", "head_p99_ms", "trickling, p99"),
        ),
    ),
    (
        "directory-time",
        "A directory",
        _UPLOADS,
        "seconds",
        (
            ("directories", "start_s", "start to first answer"),
            ("directories", "sweep_s", "sweep"),
            ("listing", "ls_s", "ls"),
            ("listing", "ls_cpu_s", "ls, CPU"),
            ("directories", "check_s", "check"),
        ),
    ),
    (
        "directory-latency",
        "Requests beside uploads",
        _UPLOADS,
        "ms",
        (
            ("directories", "create_p50_ms", "POST, median"),
            ("directories", "patch_p50_ms", "PATCH of 1 KiB, median"),
            ("directories", "head_p50_ms", "HEAD, median"),
            ("directories", "head_p99_ms", "HEAD, p99"),
        ),
    ),
    (
        "directory-sweep",
        "HEAD while the server sweeps",
        _UPLOADS,
        "ms, p99",
        (
            ("directories", "unswept_head_p99_ms", "no sweep"),
            ("directories", "young_head_p99_ms", "nothing is old"),
            ("directories", "old_head_p99_ms", "all are old, and finished"),
        ),
    ),
    (
        "directory-memory",
        "A directory",
        _UPLOADS,
        "MiB",
        (
            ("directories", "start_rss_mib", "server after its start"),
            ("directories", "young_rss_mib", "server that sweeps"),
            ("listing", "ls_rss_mib", "ls, peak"),
        ),
    ),
)


def draw(curves: Mapping[str, Curve], folder: Path = FOLDER) -> None:
    """Draw what there is of each picture."""
    import matplotlib as mpl  # noqa: PLC0415 - nobody who only measures needs it

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "growth"  # the same ids for the same picture
    from matplotlib import pyplot  # noqa: PLC0415

    for name, title, along, up, lines in PICTURES:
        if not any(curve in curves for curve, *_ in lines):
            continue
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        for curve, quantity, label in lines:
            _draw_line(axes, curves.get(curve, {}), quantity, label)
        axes.set(xscale="log", yscale="log", xlabel=along, ylabel=up, title=title)
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend(fontsize="small")
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=110, metadata={"Software": None})
        pyplot.close(figure)


def _draw_line(axes: Any, curve: Curve, quantity: str, label: str) -> None:  # noqa: ANN401 - matplotlib is not needed to check this
    points = [(size, values[quantity]) for size, values in curve.items() if quantity in values]
    axes.plot([size for size, _ in points], [value for _, value in points], "o-", label=label)


def render_tables(curves: Mapping[str, Curve]) -> str:
    """Return pictures and their curves as Markdown, with how each grows at its end."""
    tables = []
    for name, title, along, up, lines in PICTURES:
        if not any(curve in curves for curve, *_ in lines):
            continue
        sizes = sorted({size for curve, *_ in lines for size in curves.get(curve, {})})
        heads = [f"{title} ({up})", *(f"{size:,}" for size in sizes), "exponent"]
        rows = [heads, ["---"] * len(heads)]
        for curve, quantity, label in lines:
            found = curves.get(curve, {})
            values = [found.get(size, {}).get(quantity) for size in sizes]
            grows = exponent(found, quantity)
            rows.append([label, *map(_render, values), "-" if grows is None else f"{grows:.2f}"])
        picture = f"![{title}: {up} by {along}](growth/{name}.svg)"
        tables.append(f"{picture}\n\nBy {along}:\n\n" + "\n".join(map(_render_row, rows)))
    return "\n\n".join(tables) + "\n"


def _render(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _render_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
