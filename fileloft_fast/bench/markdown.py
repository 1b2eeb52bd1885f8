"""A report as a Markdown page: the table, and what its figures rest on."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.summary import (
    Row,
    Spread,
    cost,
    cost_unit,
    gb_per_s,
    rows_of,
    units_per_s,
)
from fileloft_fast.bench.words import size_of

if TYPE_CHECKING:
    from fileloft_fast.bench.results import Mount, Report, Result

_NONE: Final = "-"


def render_report(report: Report) -> str:
    """Return the page: a table, notes, and machine, versions and command."""
    rows = rows_of(report.results)
    return "\n".join([*render_table(rows), "", *_render_notes(rows), *_render_ground(report)])


def render_table(rows: list[Row]) -> list[str]:
    """Return the lines of the table; a work that the server does not offer says so."""
    names = [name for name, _ in COLUMNS]
    lines = [_line(names), _line(["---"] * len(names))]
    lines += [_line([cell(row) for _, cell in COLUMNS]) for row in rows]
    return lines


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _rate(row: Row) -> str:
    by_bytes, by_units = row.of(gb_per_s), row.of(units_per_s)
    if by_bytes:
        return f"{_shown(by_bytes)} GB/s"
    return f"{_shown(by_units, 0)} /s" if by_units else _NONE


def _times(figure: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        found = row.of_latency(lambda latency: float(getattr(latency, figure)) * 1000)
        return _shown(found) if found else _NONE

    return cell


def _client_cpu(row: Row) -> str:
    found = row.of(lambda result: cost(result.client_cpu_s, result))
    return f"{_shown(found)} {cost_unit(row.last.work)}" if found else _NONE


def _server_cpu(row: Row) -> str:
    found = row.of_server(lambda server, result: cost(server.cpu_s, result))
    return f"{_shown(found)} {cost_unit(row.last.work)}" if found else _NONE


def _peak(row: Row) -> str:
    found = row.of_server(lambda server, _: server.peak_rss_bytes / 1024 / 1024)
    if found is None:
        return _NONE
    since = " since start" if row.last.server and row.last.server.peak_since_start else ""
    return f"{_shown(found, 0)} MiB{since}"


def _switches(row: Row) -> str:
    voluntary = row.of_server(lambda server, _: server.voluntary_switches)
    forced = row.of_server(lambda server, _: server.involuntary_switches)
    if voluntary is None or forced is None:
        return _NONE
    return f"{voluntary.median:.0f} / {forced.median:.0f}"


def _failures(row: Row) -> str:
    counted: dict[str, int] = {}
    for result in row.results:
        for what, times in result.failures.items():
            counted[what] = counted.get(what, 0) + times
    return ", ".join(f"{times} x {what}" for what, times in counted.items()) or "0"


def _limit(row: Row) -> str:
    return ", ".join(dict.fromkeys(str(result.limit) for result in row.results if _ran(result)))


def _done(row: Row) -> str:
    return f"not offered: {row.last.not_offered}" if row.last.not_offered else row.last.done


def _ran(result: Result) -> bool:
    return result.not_offered is None


def _where_ran(cell: Callable[[Row], str]) -> Callable[[Row], str]:
    """Return *cell*, a dash where the server does not offer the work."""
    return lambda row: cell(row) if _ran(row.last) else _NONE


COLUMNS: Final[tuple[tuple[str, Callable[[Row], str]], ...]] = (
    ("work", lambda row: row.last.work),
    ("protocol", lambda row: row.last.protocol),
    ("what", _done),
    ("rate", _where_ran(_rate)),
    ("p50 ms", _where_ran(_times("p50_s"))),
    ("p99 ms", _where_ran(_times("p99_s"))),
    ("max ms", _where_ran(_times("max_s"))),
    ("client CPU", _where_ran(_client_cpu)),
    ("server CPU", _where_ran(_server_cpu)),
    ("server peak RSS", _where_ran(_peak)),
    ("switches vol. / invol.", _where_ran(_switches)),
    ("limit", _where_ran(_limit)),
    ("failures", _where_ran(_failures)),
)
"""The table's columns: a name, and what a row has there."""


def _shown(found: Spread, digits: int | None = None) -> str:
    """Return a median, with the least and the most of several rounds."""
    middle = _number(found.median, digits)
    if found.rounds == 1:
        return middle
    return f"{middle} ({_number(found.least, digits)}…{_number(found.most, digits)})"


def _number(value: float, digits: int | None) -> str:
    """Return *value* with so many digits behind the point; None: three that count."""
    if digits is None:
        digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def _render_notes(rows: list[Row]) -> list[str]:
    lines = [line for row in rows for line in _notes_of(row)]
    return [*lines, ""] if lines else []


def _notes_of(row: Row) -> list[str]:
    work, last = row.last.work, row.last
    lines = [f"- {work}: {note}" for note in dict.fromkeys(n for r in row.results for n in r.notes)]
    lines += [f"- {work}, {name}: {_part(row, name)}" for name in last.parts]
    lines += [f"- {work}: {_figure(row, name)}" for name in last.figures]
    failed = next((result.first_failure for result in row.results if result.failures), "")
    if failed:
        lines.append(f"- {work}, first failure: `{_plain(failed)}`")
    return lines


def _part(row: Row, name: str) -> str:
    """Return the medians of a part's latencies."""

    def middle(figure: str) -> str:
        found = [getattr(r.parts[name], figure) for r in row.results if name in r.parts]
        return f"{median(found) * 1000:.3g} ms"

    times = sum(result.parts[name].count for result in row.results if name in result.parts)
    told = f"p50 {middle('p50_s')}, p99 {middle('p99_s')}, max {middle('max_s')}"
    return f"{told}, {times} times in all"


def _figure(row: Row, name: str) -> str:
    """Return the median of a figure, its unit as its name tells."""
    value = median(result.figures[name] for result in row.results if name in result.figures)
    what, _, unit = name.rpartition("_")
    match unit:
        case "bytes":
            return f"{what.replace('_', ' ')} {size_of(round(value))}"
        case "count":
            return f"{what.replace('_', ' ')} {value:.0f}"
        case _:
            return f"{name.replace('_', ' ')} {value:,.4g}"


def _plain(text: str) -> str:
    """Return what a server said so that it stays in its line and its code span."""
    return "".join(c if c.isprintable() and c != "`" else " " for c in text)[:300]


def _render_ground(report: Report) -> list[str]:
    machine, offers = report.machine, report.offers
    said = [f"`{_plain(offers.server)}`" if offers.server else "a server that gives no name"]
    said += [f"tus {_plain(offers.tus_version)}"] if offers.tus_version else []
    offered = "nothing told" if offers.extensions is None else ", ".join(offers.extensions)
    memory = size_of(machine.memory_bytes)
    packages = [f"{name} {version}" for name, version in machine.packages.items()]
    packages += [f"commit {machine.commit}"] if machine.commit else []
    lines = [
        f"- {report.url}: {', '.join(said)}; {_plain(offered)}",
        f"- {machine.cpu}, {machine.cpus} processors, {memory}, {machine.kernel}",
        f"- {', '.join([machine.python, *packages])}",
        f"- server's files: {_mount(machine.server_directory)}; the tool's bytes are in memory",
        f"- {report.at}, rounds: {report.rounds}, by `{shlex.join(report.command)}`",
    ]
    left = sum(result.uploads_left for result in report.results)
    size = sum(result.bytes_left for result in report.results)
    lines.append(f"- left on the server: {left} uploads, {size_of(size)}")
    return lines


def _mount(mount: Mount | None) -> str:
    return f"{mount.kind} ({mount.path})" if mount else "unknown"
