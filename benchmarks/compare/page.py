"""The page of the docs: page.md with the tables of a record in it, and a picture for each work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.compare.bars import render_bars
from benchmarks.compare.charts import render_chart
from benchmarks.compare.table import render_overview, render_rows, render_work
from benchmarks.compare.works import WORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.compare.record import Record
    from fileloft_fast.bench.results import Mount

TEMPLATE: Final = Path(__file__).with_name("page.md")
PAGE: Final = "benchmarks.md"
RESULTS: Final = "benchmarks/results.json"
_MARK: Final = re.compile(r"^<!-- (\w+) -->$", re.MULTILINE)


def render_page(record: Record) -> dict[str, str]:
    """Return the files of the page by their paths in docs/: the same record, the same bytes."""
    parts: Mapping[str, Callable[[Record], str]] = {
        "about": _about,
        "overview": render_overview,
        "bars": render_bars,
        "works": _works,
        "missing": _missing,
    }

    def part(mark: re.Match[str]) -> str:
        return parts[mark[1]](record).rstrip("\n")

    files = {PAGE: _MARK.sub(part, TEMPLATE.read_text(encoding="utf-8"))}
    for work in WORKS:
        if _measured(record, work.name):
            files[f"benchmarks/{work.name}.svg"] = render_chart(record, work)
    return files


def write_page(record: Record, docs: Path) -> None:
    """Write the files of the page into the folder *docs*."""
    for name, text in render_page(record).items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _measured(record: Record, work: str) -> bool:
    return any(sample.work == work for sample in record.samples)


def _works(record: Record) -> str:
    parts = [
        f"### {work.title}\n\n![{work.title}](benchmarks/{work.name}.svg)\n\n"
        + (f"{work.note}\n\n" if work.note else "")
        + render_work(record, work)
        for work in WORKS
        if _measured(record, work.name)
    ]
    return "\n".join(parts)


def _missing(record: Record) -> str:
    if not record.missing:
        return "Nothing: each server did each work that it offers."
    return "\n".join(f"- {line}" for line in record.missing)


def _about(record: Record) -> str:
    machine = record.machine
    versions = [f"{one.name} {one.version}" for one in record.servers if one.version]
    packages = [f"{name} {number}" for name, number in machine.packages.items()]
    rows = [
        ["", ""],
        ["command", f"`{record.command}`"],
        ["at", f"{record.at}, commit {machine.commit or 'unknown'}"],
        ["took", f"{record.seconds:.0f} s, {record.rounds} rounds"],
        ["machine", f"{machine.cpu}, {machine.cpus} CPUs, {machine.memory_bytes / 2**30:.0f} GiB"],
        ["kernel", machine.kernel],
        ["file system", _mount(machine.server_directory)],
        ["servers", "; ".join(versions)],
        ["Python", f"{machine.python}; {', '.join(packages)}"],
    ]
    return render_rows(rows)


def _mount(mount: Mount | None) -> str:
    return "unknown" if mount is None else f"{mount.kind} on {mount.device}"
