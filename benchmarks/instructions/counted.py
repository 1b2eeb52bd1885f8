"""Our server under valgrind: what requests cost, in instructions outside the kernel."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from benchmarks.instructions.callgrind import Counts, combined, parse_counts
from benchmarks.peers import begun_in
from tests.endpoint import Endpoint
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.instructions.works import Work

_STEADY: Final = {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"}
_PATIENCE_S: Final = 600.0
_IDLE_S: Final = 5.0


class MissingProgramError(Exception):
    """A program is not there; the message says how to have it."""


class SlowServer(Server):
    """A server under valgrind, on a machine that may have other work."""

    start_s = 300.0


def count(  # noqa: PLR0913 - what is left out has a meaning
    work: Work,
    folder: Path,
    *,
    words: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    tree: Path | None = None,
    on_part: Callable[[], object] = lambda: None,
) -> Counts:
    """Return what ``work.times`` requests cost a server.

    Counted are as many and, apart from them, twice as many: their difference has neither the start
    nor the counting itself. What the server does by the clock, which runs fast for one that is
    slowed down so much, is counted while nothing is asked, and taken off. *words* go to valgrind,
    *settings* to the server, which is that of the work tree *tree*, ours where none is given;
    *on_part* is called after each part, the one that warms up first.
    """
    out = folder / "counts"
    wrapper = (
        *begun_in(tree),
        program("valgrind"),
        "--tool=callgrind",
        "--instr-atstart=no",
        f"--callgrind-out-file={out}",
        f"--log-file={out}.log",
        *words,
    )
    ends: list[float] = []
    with SlowServer(
        folder / "data", {**_STEADY, **work.settings, **(settings or {})}, wrapper=wrapper
    ) as server:
        tus = Endpoint(server)
        with tus.connect(_PATIENCE_S) as wire:
            asked = work.begin(tus, wire)
            _take(asked, work.times)
            _tell(server, "instrumentation on")
            for times in (work.times, work.times, 2 * work.times, 0):
                _take(asked, times)
                if times == 0:
                    time.sleep(_IDLE_S)
                _tell(server, "dump")
                ends.append(time.monotonic())
                on_part()
    _, once, twice, idle = (_read_part(out, number) for number in range(1, 5))
    once_s, twice_s, idle_s = (end - start for start, end in itertools.pairwise(ends))
    return combined([(1, twice), (-1, once), (-(twice_s - once_s) / idle_s, idle)])


def program(name: str) -> str:
    """Return the path of a program. Raises MissingProgramError."""
    found = shutil.which(name, path=os.defpath)
    if found is None:
        raise MissingProgramError(
            f"{name} is missing: .ci/system-packages bench PYTHON installs it"
        )
    return found


def _read_part(out: Path, number: int) -> Counts:
    with out.with_name(f"{out.name}.{number}").open(encoding="latin-1") as lines:
        return parse_counts(lines)


def _take(asked: Iterator[None], times: int) -> None:
    deque(itertools.islice(asked, times), maxlen=0)


def _tell(server: Server, command: str) -> None:
    """Have callgrind do something; it has been done when this returns."""
    words = [program("vgdb"), f"--pid={server.pid}", "--wait=10", command]
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603
