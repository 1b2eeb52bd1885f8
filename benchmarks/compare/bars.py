"""What is wanted of our figures, a row a bar: what the issue asks for, and the targets."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from benchmarks.compare.record import figures_of, maybe_ratio
from benchmarks.compare.table import LIMIT, NOTHING, SYNCED_LIMIT, TIMES, render_rows

if TYPE_CHECKING:
    from benchmarks.compare.record import Record

OURS: Final = "ours, unsynced"
DURABLE: Final = "ours"
TWO: Final = "ours, unsynced, 2 workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One figure of a server of ours: at least, or at most, so much; or so many times another's."""

    work: str
    title: str
    mine: str = OURS
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    than: tuple[str, str] | None = None
    """The server and the figure that it is compared with."""

    def found(self, record: Record) -> float | None:
        """Return the figure, or its ratio to the other; None where one of them was not taken."""
        if self.than:
            return maybe_ratio(record, self.work, (self.mine, self.figure), self.than)
        values = figures_of(record, self.work, self.mine, self.figure).values()
        return statistics.median(values) if values else None

    def verdict(self, record: Record) -> str:
        """Return ok or MISS, or nothing where it was not measured."""
        found = self.found(record)
        if found is None:
            return NOTHING
        low = self.at_least is not None and found < self.at_least
        high = self.at_most is not None and found > self.at_most
        return "MISS" if low or high else "ok"

    @property
    def wanted(self) -> str:
        """What is wanted, as text."""
        sign, much = ("≥", self.at_least) if self.at_least is not None else ("≤", self.at_most)
        return f"{sign} {much:g}" + (f" {TIMES} {self.than[0]}" if self.than else "")


def _bars(mine: str, note: str) -> tuple[Bar, ...]:
    """Return the two bars of small uploads, once for each number of workers."""
    return (
        Bar(
            work="small",
            title=f"unsynced small uploads, uploads/s{note}",
            mine=mine,
            figure="uploads_per_s",
            at_least=0.8,
            than=(LIMIT, "uploads_per_s"),
        ),
        Bar(
            work="small",
            title=f"unsynced small uploads, server CPU s per 1,000{note}",
            mine=mine,
            figure="cpu_s_per_1000",
            at_most=0.1,
        ),
    )


_AGAINST_TUSD: Final = (
    Bar(work="large", title="large PATCH, GB/s", figure="gb_per_s", at_least=2.5),
    Bar(
        work="large",
        title="large PATCH, server CPU s/GB",
        figure="cpu_s_per_gb",
        at_most=0.33,
    ),
    Bar(work="streams", title="streams, GB/s", figure="gb_per_s", at_least=2),
    Bar(work="streams", title="streams, server CPU s/GB", figure="cpu_s_per_gb", at_most=0.4),
    Bar(
        work="small",
        title="unsynced small uploads, uploads/s",
        figure="uploads_per_s",
        at_least=3,
    ),
    Bar(
        work="small",
        title="durable small uploads, uploads/s",
        mine=DURABLE,
        figure="uploads_per_s",
        at_least=1.5,
    ),
    Bar(work="small", title="unsynced small uploads, p99", figure="p99_ms", at_most=0.25),
)
"""These are judged where the user's file names a server tusd."""

BARS: Final = (
    Bar(
        work="large",
        title="large PATCH, GB/s",
        figure="gb_per_s",
        at_least=0.85,
        than=(LIMIT, "gb_per_s"),
    ),
    Bar(
        work="large",
        title="large PATCH, server CPU s/GB",
        figure="cpu_s_per_gb",
        at_most=1.15,
        than=(LIMIT, "cpu_s_per_gb"),
    ),
    Bar(work="large", title="large PATCH, peak RSS, MiB", figure="peak_mib", at_most=48),
    Bar(
        work="large",
        title="large PATCH, client CPU against the server's",
        figure="client_cpu_s_per_gb",
        at_most=0.5,
        than=(OURS, "cpu_s_per_gb"),
    ),
    Bar(
        work="chunks",
        title="PATCHes with sha1, GB/s",
        figure="gb_per_s",
        at_least=1,
        than=(LIMIT, "gb_per_s"),
    ),
    Bar(work="chunks", title="PATCHes with sha1, peak RSS, MiB", figure="peak_mib", at_most=48),
    Bar(
        work="download",
        title="GET, GB/s",
        figure="gb_per_s",
        at_least=1,
        than=("nginx", "gb_per_s"),
    ),
    *_bars(OURS, ""),
    *_bars(TWO, ", 2 workers"),
    Bar(
        work="small",
        title="durable small uploads, uploads/s",
        mine=DURABLE,
        figure="uploads_per_s",
        at_least=0.7,
        than=(SYNCED_LIMIT, "uploads_per_s"),
    ),
    Bar(
        work="resume",
        title="HEAD beside a stalled holder, p99, ms",
        mine=DURABLE,
        figure="p99_ms",
        at_most=20,
    ),
    Bar(
        work="resume",
        title="HEAD beside a stalled holder, wrong offsets",
        mine=DURABLE,
        figure="wrong_offsets",
        at_most=0,
    ),
    Bar(
        work="slow",
        title="RSS per slow upload, KiB",
        mine=DURABLE,
        figure="kib_per_upload",
        at_most=48,
    ),
    Bar(
        work="slow",
        title="1,000 slow uploads, server CPU, % of a core",
        mine=DURABLE,
        figure="core_percent",
        at_most=5,
    ),
    *(replace(bar, than=("tusd", bar.figure)) for bar in _AGAINST_TUSD),
)


def render_bars(record: Record) -> str:
    """Return what is wanted, what was found and whether it is so.

    A bar against a server that did not take part is left out; one whose work failed is not.
    """
    names = {server.name for server in record.servers}
    rows = [["figure", "server", "found", "wanted", ""]]
    for bar in BARS:
        if bar.than and bar.than[0] not in names:
            continue
        found = bar.found(record)
        told = NOTHING if found is None else f"{found:.3g}"
        rows.append([bar.title, bar.mine, told, bar.wanted, bar.verdict(record)])
    return render_rows(rows)


def missed(record: Record) -> list[str]:
    """Return the titles of the bars that are missed."""
    return [bar.title for bar in BARS if bar.verdict(record) == "MISS"]
