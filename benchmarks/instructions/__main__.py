"""Count the instructions that requests cost: ``python -m benchmarks.instructions``.

Our server runs under valgrind; what it does outside the kernel is counted, and is nearly the same
each time. ``--update`` stores the counts; ``--python`` tells which Python functions they are of;
``--before TREE`` compares with the server of another work tree instead of the baseline.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.baseline import (
    Baseline,
    judge,
    read_baseline,
    render_table,
    rounded,
    write_baseline,
)
from benchmarks.instructions.counted import MissingProgramError, count
from benchmarks.instructions.frames import Frames
from benchmarks.instructions.works import WORKS

if TYPE_CHECKING:
    from benchmarks.instructions.callgrind import Counts
    from benchmarks.instructions.works import Work

TOLERANCE: Final = 0.05
"""Counts differ by half a percent from run to run, those of large bodies by three."""

_TOLERANCE_OF_TREES: Final = 0.02
"""Counted one after the other, nothing but the code is another."""

# What a request passes through beside our own code: another version of one has other counts.
_PARTS: Final = ("httptools", "msgspec", "uvloop")


def environment() -> str:
    """Return what counts depend on, and a machine's speed does not."""
    python = platform.python_version()
    parts = " ".join(f"{name} {version(name)}" for name in _PARTS)
    build = hashlib.sha256(repr((*platform.python_build(), platform.python_compiler())).encode())
    system = f"{platform.machine()} {'-'.join(platform.libc_ver())}"
    return f"python {python} ({build.hexdigest()[:8]}), {parts}, {system}"


def main() -> int:
    """Return the exit status: 1 where a request costs more than it did."""
    asked = _parse_arguments()
    figures: dict[str, float] = {}
    others: dict[str, float] = {}
    try:
        for name in asked.only or WORKS:
            figures[name] = _measure(name, WORKS[name], asked)
            if asked.before is not None:
                others[name] = _count_in(asked.before, WORKS[name], asked.folder)
    except MissingProgramError as missing:
        say(str(missing))
        return 2
    if asked.python:  # which costs instructions of its own
        return 0
    if asked.before is not None:
        verdicts = judge(others, figures, lambda _: _TOLERANCE_OF_TREES)
        say(f"\ninstructions a request; the baseline is {asked.before}")
        say(render_table(verdicts))
        return int(any(verdict.bad for verdict in verdicts))
    key, stored = environment(), read_baseline()
    known = stored.instructions.get(key, {})
    before = {name: known[name] for name in known if name in figures}
    verdicts = judge(before, figures, lambda _: TOLERANCE)
    say(f"\ninstructions a request; {key}")
    say(render_table(verdicts))
    if asked.update:
        kept = {**stored.instructions, key: known | rounded(figures)}
        write_baseline(Baseline(stored.ratios, kept))
        say("stored as the baseline")
        return 0
    if not known:
        say("no baseline for this environment: --update stores one")
    return int(any(verdict.bad for verdict in verdicts))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=WORKS, help="may be repeated")
    parser.add_argument("--update", action="store_true", help="store the counts")
    parser.add_argument("--python", action="store_true", help="tell the Python functions")
    parser.add_argument("--before", type=Path, metavar="TREE", help="a work tree that is built")
    parser.add_argument("--top", type=int, default=12, help="how many functions are told")
    parser.add_argument("--folder", type=Path, default=Path("build/instructions"))
    return parser.parse_args()


def _measure(name: str, work: Work, asked: argparse.Namespace) -> float:
    """Count one work, print where its instructions go, and return how many a request has."""
    folder = _new_folder(asked.folder)
    if asked.python:
        frames = Frames(folder)
        counts = count(work, folder, settings=frames.settings, on_part=frames.look)
        rows = [
            (f"{frame.own / work.times:12,.0f} {frame.whole / work.times:12,.0f}", frame.name)
            for frame in frames.attribute(counts)
        ]
    else:
        counts = count(work, folder)
        rows = _functions(counts, work.times)
    _tidy_up(work, folder)
    say(f"\n{name}: {counts.total / work.times:,.0f} instructions a request")
    for figures, function in rows[: asked.top]:
        say(f"{figures}  {function}")
    return counts.total / work.times


def _count_in(tree: Path, work: Work, parent: Path) -> float:
    """Return how many instructions a request has in the server of *tree*."""
    folder = _new_folder(parent)
    counts = count(work, folder, tree=tree)
    _tidy_up(work, folder)
    return counts.total / work.times


def _new_folder(parent: Path) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=parent)).resolve()


def _tidy_up(work: Work, folder: Path) -> None:
    if not work.many_files:
        shutil.rmtree(folder / "data")


def _functions(counts: Counts, times: int) -> list[tuple[str, str]]:
    return [
        (f"{own / times:12,.0f} {own / counts.total:6.1%}", function)
        for function, own in counts.own.most_common()
    ]


def say(line: str) -> None:
    """Print a line now."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
