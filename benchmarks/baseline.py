"""What was measured once, in a file of the repository, and how today's figures compare with it.

A figure that grows has become worse: a time as a multiple of a yardstick's, instructions a request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

PATH: Final = Path(__file__).with_name("baseline.json")


class Judgement(StrEnum):
    """What became of one figure."""

    SAME = "same"
    WORSE = "WORSE"
    BETTER = "better"  # by as much as would be a regression: worth a new baseline
    NEW = "new"
    GONE = "GONE"  # a benchmark that nobody runs any more finds nothing


_BAD: Final = frozenset({Judgement.WORSE, Judgement.GONE})


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: ratios by benchmark; instructions by environment, then by work."""

    ratios: dict[str, float] = {}
    instructions: dict[str, dict[str, float]] = {}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure beside the one that is stored; None where there is none."""

    name: str
    before: float | None
    now: float | None
    tolerance: float

    @property
    def change(self) -> float:
        """By how much of itself the figure has grown; 0 where there is nothing to compare."""
        return self.now / self.before - 1 if self.now is not None and self.before else 0.0

    @property
    def judgement(self) -> Judgement:
        """What became of it. As much down as *tolerance* is up: halved and doubled are alike."""
        if self.before is None:
            return Judgement.NEW
        if self.now is None:
            return Judgement.GONE
        if self.now > self.before * (1 + self.tolerance):
            return Judgement.WORSE
        if self.now < self.before / (1 + self.tolerance):
            return Judgement.BETTER
        return Judgement.SAME

    @property
    def bad(self) -> bool:
        """Whether it makes the run fail."""
        return self.judgement in _BAD


def judge(
    before: Mapping[str, float], now: Mapping[str, float], tolerance_of: Callable[[str], float]
) -> list[Verdict]:
    """Return a verdict for each name of either, in the order of the names."""
    return [
        Verdict(name, before.get(name), now.get(name), tolerance_of(name))
        for name in sorted({*before, *now})
    ]


def read_baseline(path: Path = PATH) -> Baseline:
    """Return what is stored, nothing where there is no file. Raises msgspec.DecodeError."""
    if not path.exists():
        return Baseline()
    return msgspec.json.decode(path.read_bytes(), type=Baseline)


def write_baseline(baseline: Baseline, path: Path = PATH) -> None:
    """Store *baseline*, a line a figure, in order: what changes is seen in a diff."""
    plain = msgspec.to_builtins(baseline)
    path.write_text(json.dumps(plain, indent=2, sort_keys=True) + "\n", encoding="ascii")


def rounded(figures: Mapping[str, float]) -> dict[str, float]:
    """Return the figures with the digits that mean something."""
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


def render_table(verdicts: Iterable[Verdict]) -> str:
    """Return name, baseline, now, change and judgement as lines of text."""
    rows = [("", "baseline", "now", "change", "")] + [
        (
            each.name,
            _figure(each.before),
            _figure(each.now),
            f"{each.change:+.1%}" if each.before is not None and each.now is not None else "-",
            "" if each.judgement is Judgement.SAME else str(each.judgement),
        )
        for each in verdicts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        f"{name:{widths[0]}}  {before:>{widths[1]}}  {now:>{widths[2]}}  {change:>{widths[3]}}"
        f"  {judgement}".rstrip()
        for name, before, now, change, judgement in rows
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 10_000 else f"{value:.4g}"
