"""Measure servers side by side, and write the page of the docs.

    python -m benchmarks.compare [--servers FILE] [--rounds 5] [--works large,small]

Ours in each mode, nginx, @tus/server, tuspyserver, what the file names, and the C programs that
mark the limit. Each round begins with another server. Wants a quiet machine. Small files are left
where they are; the run's folder is named at the end, to be removed then.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from benchmarks.compare.bars import missed, render_bars
from benchmarks.compare.field import plan_field
from benchmarks.compare.named import read_servers
from benchmarks.compare.page import RESULTS, write_page
from benchmarks.compare.record import Record, read_record, write_record
from benchmarks.compare.rounds import Run
from benchmarks.compare.works import WORKS
from benchmarks.peers import build, raise_descriptor_limit, say
from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.machine import describe_machine
from fileloft_fast.bench.sizes import MIB, Sizes
from fileloft_fast.bench.source import Source
from fileloft_fast.errors import FileloftError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.compare.works import Work
    from fileloft_fast.bench.results import Machine

SIZES: Final = Sizes(
    size_bytes=512 * MIB,
    small_count=4000,
    resumes=10,
    resume_s=8.0,
    slow_s=4.0,
    timeout_s=15.0,
)
"""So much that all rounds end within the minutes."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, or render alone; return 1 with --gate where a figure is not as wanted."""
    asked = _parser().parse_args(words)
    results = asked.docs / RESULTS
    try:
        if not asked.render:
            write_record(results, _measure(asked))
        record = read_record(results)
    except FileloftError as error:
        say(f"benchmarks.compare: {error}")
        return 2
    write_page(record, asked.docs)
    say("\n" + render_bars(record))
    return 1 if asked.gate and missed(record) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--servers", type=Path, help="a TOML file: see servers.example.toml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=7.5, help="for all rounds")
    everything = ",".join(work.name for work in WORKS)
    parser.add_argument("--works", default=everything, help="a comma list")
    parser.add_argument("--dir", type=Path, default=Path("build/bench"), help="where servers write")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the page is written")
    parser.add_argument("--render", action="store_true", help="make the page anew, measure nothing")
    parser.add_argument("--gate", action="store_true", help="exit 1 where a bar is missed")
    return parser


def _measure(asked: argparse.Namespace) -> Record:
    works = _works(asked.works)
    named = read_servers(asked.servers) if asked.servers else []
    subprocess.run([Path(__file__).with_name("prepare")], check=True)  # noqa: S603
    build()
    raise_descriptor_limit()
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="compare-", dir=asked.dir)).resolve()
    at, began = datetime.now(UTC), time.monotonic()
    contenders = plan_field(named)
    with Source() as source:
        run = Run(folder, contenders, works, SIZES, source, say)
        rounds = run.rounds(asked.rounds, asked.minutes * 60)
    say(f"\nfiles are left in {folder}")
    return Record(
        at=at.strftime("%Y-%m-%d %H:%M UTC"),
        command=" ".join(["python -m benchmarks.compare", *sys.argv[1:]]),
        seconds=round(time.monotonic() - began),
        rounds=rounds,
        machine=_machine(asked.dir),
        sizes=SIZES.as_numbers(),
        servers=tuple(contender.server for contender in contenders),
        samples=tuple(run.samples),
        missing=tuple(f"{what}: {why}" for what, why in sorted(run.missing.items())),
    )


def _machine(directory: Path) -> Machine:
    """Return what the machine is; it is published, so whole paths of it are left out."""
    machine = describe_machine(str(directory))
    mount = machine.server_directory
    kept = mount and msgspec.structs.replace(mount, path=str(directory))
    return msgspec.structs.replace(machine, tool_directory=None, server_directory=kept)


def _works(names: str) -> list[Work]:
    wanted = names.split(",")
    unknown = set(wanted) - {work.name for work in WORKS}
    if unknown:
        raise BenchError(f"no work: {', '.join(sorted(unknown))}")
    return [work for work in WORKS if work.name in wanted]


if __name__ == "__main__":
    sys.exit(main())
