"""Every "accepted when" figure of the main job, measured side by side in one run.

    python -m benchmarks.acceptance --dir build/bench [--rounds 5] [--only large,chunks,get,...]

Ours and the peer take turns, each round in fresh directories. A ratio is the median of the rounds'
ratios, so that what disturbs a whole round disturbs it little. Wants a quiet machine with 4 GB of
memory free, and a disk where nothing was deleted in masses in the last minute. Small files
are left where they are; the run's directory is named at the end, to be removed then.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.peers import (
    LIMIT,
    Meter,
    build,
    limit,
    load,
    nginx,
    ours,
    raise_descriptor_limit,
    report,
    say,
)
from benchmarks.slow import trickle, try_heads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
SOURCE_BYTES: Final = 256 * MIB
CHUNK_BYTES: Final = 8 * MIB
UNSYNCED: Final = {"FILELOFT_SYNC": "none", "FILELOFT_ENABLE_DOWNLOAD": "1"}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, what is wanted of it, and whether it is so."""

    work: str
    figure: str
    wanted: str
    good: bool


@dataclass(slots=True)
class Run:
    """One run: where its files go, and how often things are repeated."""

    folder: Path
    source: Path
    rounds: int
    small_count: int
    rows: list[Row] = field(default_factory=list)
    made: int = 0

    def fresh(self, name: str) -> Path:
        """Make a new directory."""
        self.made += 1
        path = self.folder / f"{self.made:03}-{name}"
        path.mkdir()
        return path

    def turns(self) -> Iterator[int]:
        """Count the rounds; the first, 0, warms up and does not count."""
        yield from range(self.rounds + 1)

    def add(self, work: str, figure: str, wanted: str, *, good: bool) -> None:
        """Take a row down, and say it."""
        self.rows.append(Row(work, figure, wanted, good))
        say(_line(self.rows[-1]))


def large(run: Run) -> None:
    """One PATCH of 1 GiB, nothing synced, against a loop that splices a socket to a file."""
    _against_limit(run, "1 GiB PATCH", "splice", ("patch", run.source, GIB), cpu=1.3)


def chunks(run: Run) -> None:
    """Chunks of 8 MiB with sha1 against a loop that receives, hashes and writes."""
    _against_limit(run, "8 MiB sha1 chunks", "sha1", ("chunks", run.source, GIB, CHUNK_BYTES))


def _against_limit(
    run: Run, work: str, mode: str, words: tuple[Any, ...], cpu: float | None = None
) -> None:
    rates: dict[str, list[float]] = {"ours": [], "limit": []}
    costs: dict[str, list[float]] = {"ours": [], "limit": []}
    peak = 0
    for turn in run.turns():
        for name in _in_turn(turn, ("ours", "limit")):
            data = run.fresh(f"{mode}-{name}")
            with ours(data, UNSYNCED) if name == "ours" else limit(mode, data) as peer:
                with Meter(peer) as meter:
                    said = load(words[0], peer, "/files/", *words[1:])
                if name == "ours":
                    peak = max(peak, peer.peak_bytes())
            shutil.rmtree(data)  # one large file and its info: not a mass
            if turn:
                rates[name].append(said["gb_per_s"])
                costs[name].append(meter.cpu_s / said["bytes"] * 1e9)
    ratio, figure = _compared(rates, "limit", 2)
    run.add(f"{work}, GB/s", figure, ">= 0.75 x limit", good=ratio >= 0.75)
    ratio, figure = _compared(costs, "limit", 3)
    wanted = f"<= {cpu} x limit" if cpu else "(told)"
    run.add(f"{work}, server CPU s/GB", figure, wanted, good=cpu is None or ratio <= cpu)
    run.add(f"{work}, peak RSS", f"{peak / MIB:.0f} MiB", "<= 64 MiB", good=peak <= 64 * MIB)


def get(run: Run) -> None:
    """GET of 1 GiB against nginx, which serves the same file."""
    data = run.fresh("get")
    rates: dict[str, list[float]] = {"ours": [], "nginx": []}
    costs: dict[str, list[float]] = {"ours": [], "nginx": []}
    with ours(data, UNSYNCED) as server, nginx(data, run.fresh("nginx")) as peer:
        path = load("patch", server, "/files/", run.source, GIB)["target"]
        places = {"ours": (server, path), "nginx": (peer, "/" + path.rpartition("/")[2])}
        for turn in run.turns():
            for name in _in_turn(turn, places):
                place, target = places[name]
                with Meter(place) as meter:
                    said = load("get", place, target)
                if said["bytes"] != GIB:
                    raise RuntimeError(f"{name} sent {said['bytes']} bytes")
                if turn:
                    rates[name].append(said["gb_per_s"])
                    costs[name].append(meter.cpu_s / said["bytes"] * 1e9)
    shutil.rmtree(data)
    ratio, figure = _compared(rates, "nginx", 2)
    run.add("GET 1 GiB, GB/s", figure, ">= 0.9 x nginx", good=ratio >= 0.9)
    run.add("GET 1 GiB, server CPU s/GB", _compared(costs, "nginx", 3)[1], "(told)", good=True)


def small(run: Run) -> None:
    """4 KiB creation-with-upload on 32 connections, durable, against 8 threads in C."""
    rates: dict[str, list[float]] = {"ours": [], "limit": []}
    tails: list[float] = []
    costs: list[float] = []
    for turn in run.turns():
        said, cpu_s = _small(run, {})
        files = run.fresh("files")
        bound = report(LIMIT / "files", files, run.small_count, 8, "name")
        if turn:
            rates["ours"].append(said["rate"])
            rates["limit"].append(bound["rate"])
            tails.append(said["p99_ms"])
            costs.append(cpu_s)
    ratio, figure = _compared(rates, "limit", 0)
    wanted = ">= 0.5 x 8 threads in C"
    run.add("4 KiB durable, uploads/s", figure, wanted, good=ratio >= 0.5)
    run.add(
        "4 KiB durable, p99; CPU s/1,000",
        f"{statistics.median(tails):.1f} ms; {statistics.median(costs):.3f}",
        "(told)",
        good=True,
    )


def unsynced(run: Run) -> None:
    """The same with FILELOFT_SYNC=none: CPU for 1,000 uploads."""
    rates, tails, costs = [], [], []
    for turn in run.turns():
        said, cpu_s = _small(run, UNSYNCED)
        if turn:
            rates.append(said["rate"])
            tails.append(said["p99_ms"])
            costs.append(cpu_s)
    cost = statistics.median(costs)
    run.add("4 KiB unsynced, CPU s/1,000", f"{cost:.3f}", "<= 0.15", good=cost <= 0.15)
    run.add(
        "4 KiB unsynced, uploads/s; p99",
        f"{statistics.median(rates):.0f}; {statistics.median(tails):.1f} ms",
        "(told)",
        good=True,
    )


def _small(run: Run, settings: Mapping[str, str]) -> tuple[dict[str, Any], float]:
    """Make small uploads in a fresh directory; the report, and CPU seconds for 1,000."""
    with ours(run.fresh("small"), settings) as peer:
        load("small", peer, "/files/", 500, 32, 4096)
        with Meter(peer) as meter:
            said = load("small", peer, "/files/", run.small_count, 32, 4096)
    return said, meter.cpu_s / run.small_count * 1000


def head(run: Run) -> None:
    """HEAD while another connection holds the upload and stalls."""
    with ours(run.fresh("head"), {}) as peer:
        tried = try_heads(peer, 20)
    run.add(
        "HEAD beside a stalled holder, slowest of 20",
        f"{tried.slowest_s * 1000:.1f} ms, offsets {'exact' if tried.exact else 'WRONG'}",
        "<= 100 ms, exact",
        good=tried.slowest_s <= 0.1 and tried.exact,
    )


def slow(run: Run) -> None:
    """1,000 trickling uploads beside one PATCH of 1 GiB."""
    data = run.fresh("slow")
    with ours(data, {}) as peer:
        seen = trickle(peer, data, run.source, GIB, 1000)
    run.add(
        "1,000 trickling uploads beside 1 GiB, peak RSS",
        f"{seen.peak_bytes / MIB:.0f} MiB",
        "<= 160 MiB",
        good=seen.peak_bytes <= 160 * MIB,
    )
    run.add(
        "1,000 trickling uploads, wrong or lost",
        f"{seen.wrong} ({seen.cpu_s:.1f} CPU s in {seen.seconds:.0f} s)",
        "0",
        good=seen.wrong == 0,
    )


MEASURES: Final[dict[str, Callable[[Run], None]]] = {
    "large": large,
    "chunks": chunks,
    "get": get,
    "small": small,
    "unsynced": unsynced,
    "head": head,
    "slow": slow,
}


def main() -> int:
    """Measure what was asked for and return 1 where a figure is not as wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(MEASURES), help="a comma list")
    parser.add_argument("--small-count", type=int, default=10_000)
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="acceptance-", dir=asked.dir)).resolve()
    build()
    raise_descriptor_limit()
    run = Run(folder, _make_source(folder), asked.rounds, asked.small_count)
    for name in asked.only.split(","):
        MEASURES[name](run)
    run.source.unlink()
    say("")
    for row in run.rows:
        say(_line(row))
    say(f"\nmedians of {asked.rounds} rounds; files are left in {folder}")
    return 0 if all(row.good for row in run.rows) else 1


def _make_source(folder: Path) -> Path:
    """Write the file that is sent, and read it, so that it is in the page cache."""
    path = folder / "source"
    with path.open("wb") as file, Path("/dev/urandom").open("rb") as random:
        for _ in range(SOURCE_BYTES // MIB):
            file.write(random.read(MIB))
    return path


def _in_turn(turn: int, names: Iterable[str]) -> list[str]:
    """Return *names*, the other way round in every second round."""
    return list(names) if turn % 2 else list(names)[::-1]


def _compared(figures: Mapping[str, list[float]], peer: str, digits: int) -> tuple[float, str]:
    """Return the median of the rounds' ratios, and it beside both medians as text."""
    pairs = zip(figures["ours"], figures[peer], strict=True)
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    mine, theirs = statistics.median(figures["ours"]), statistics.median(figures[peer])
    return ratio, f"{mine:.{digits}f} / {theirs:.{digits}f} = {ratio:.2f}"


def _line(row: Row) -> str:
    verdict = "ok  " if row.good else "MISS"
    return f"{verdict} {row.work:48} {row.figure:36} {row.wanted}"


if __name__ == "__main__":
    sys.exit(main())
