"""Rounds: in each, every work is done by every server, in an order that changes with the round."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from benchmarks.compare.commands import NotStartedError
from benchmarks.compare.figures import NotMeasuredError
from benchmarks.compare.record import Sample
from fileloft_fast.bench.failure import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.compare.contenders import Contender
    from benchmarks.compare.works import Work
    from fileloft_fast.bench.sizes import Sizes
    from fileloft_fast.bench.source import Source

LARGE: Final = frozenset({"large", "streams", "chunks", "download"})
"""Works that leave a few large files, which are removed at once; what others leave stays."""

_NO_FIGURE: Final = (
    *(NotMeasuredError, BenchError),
    *(ConnectionError, FileNotFoundError, ProcessLookupError),  # it has died of the work
)

_T = TypeVar("_T")


def in_turn(names: Sequence[_T], number: int) -> list[_T]:
    """Return *names* in the order of a round: each begins another, and every second runs back.

    So over the rounds nobody always comes first, or always after the same one.
    """
    begin = number % len(names) if names else 0
    turned = [*names[begin:], *names[:begin]]
    return turned[::-1] if number % 2 else turned


@dataclass(slots=True)
class Run:
    """What is measured, where, and what has been found until now."""

    folder: Path
    contenders: Sequence[Contender]
    works: Sequence[Work]
    sizes: Sizes
    source: Source
    say: Callable[[str], None]
    samples: list[Sample] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Why a server is not measured, or one work of it; by "server" or "server, work"."""
    began: float = field(default_factory=time.monotonic)

    def rounds(self, most: int, within_s: float) -> int:
        """Measure up to *most* rounds and return how many; none begins that would not end in time.

        The first is measured whatever it takes.
        """
        self.began = began = time.monotonic()
        longest = 0.0
        for number in range(most):
            started = time.monotonic()
            if number and started + longest > began + within_s:
                self.say(f"{number} rounds instead of {most}: another would end too late")
                return number
            self._round(number)
            longest = max(longest, time.monotonic() - started)
        return most

    def _round(self, number: int) -> None:
        for work in self.works:
            if number % work.every:
                continue
            for contender in in_turn(self.contenders, number):
                if work.name in contender.works and not self._is_out(contender, work):
                    self._measure(number, work, contender)

    def _is_out(self, contender: Contender, work: Work) -> bool:
        name = contender.server.name
        return name in self.missing or f"{name}, {work.name}" in self.missing

    def _measure(self, number: int, work: Work, contender: Contender) -> None:
        name = contender.server.name
        folder = self.folder / f"{number + 1}-{work.name}-{_plain(name)}"
        folder.mkdir()
        # what others left unwritten would be written at the cost of the next one that syncs
        os.sync()
        try:
            figures = contender.measure(work.name, folder, self._sizes(work), self.source)
        except NotStartedError as error:
            self._miss(name, error)
        except _NO_FIGURE as error:
            self._miss(f"{name}, {work.name}", error)
        else:
            sample = Sample(work=work.name, server=name, round=number + 1, figures=figures)
            self.samples.append(sample)
            clock = f"{time.monotonic() - self.began:4.0f} s"
            told = f"{work.name:9} {name:28} {_told(work, figures)}"
            self.say(f"{clock}  round {number + 1}  {told}")
        if work.name in LARGE:
            shutil.rmtree(folder)

    def _sizes(self, work: Work) -> Sizes:
        return replace(self.sizes, size_bytes=min(self.sizes.size_bytes, work.most_bytes))

    def _miss(self, what: str, error: Exception) -> None:
        self.missing[what] = str(error)
        self.say(f"not measured: {what}: {error}")


def _plain(name: str) -> str:
    """Return a name as part of a path."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def _told(work: Work, figures: dict[str, float]) -> str:
    return ", ".join(
        f"{figures[one.key]:.{one.digits}f} {one.title}"
        for one in work.figures
        if one.key in figures
    )
