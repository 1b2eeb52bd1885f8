"""Files of callgrind, as far as they are used here.

https://valgrind.org/docs/manual/cl-format.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

_NAMED: Final = re.compile(r"(c?fn)=\((\d+)\)(?: (.*))?")
_COST: Final = re.compile(r"[+*-]?\d*(?: \S+)* (\d+)$")
_LEVEL: Final = re.compile(r"'\d+\Z")  # of a recursion


@dataclass(slots=True)
class Counts:
    """What one run, or a part of it, has cost."""

    total: int = 0
    own: Counter[str] = field(default_factory=Counter)
    """Instructions by function, without those that it calls."""
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often one function has called another."""
    called: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Instructions of these calls. Of a recursion the outermost call counts."""


def parse_counts(lines: Iterable[str]) -> Counts:
    """Return what a file says, all of its threads together. Raises ValueError for another file."""
    counts = Counts()
    names: dict[str, str] = {}
    function = callee = ""
    rest = iter(lines)
    if not next(rest, "").startswith("# callgrind format"):
        raise ValueError("not a file of callgrind")
    for line in rest:
        if matched := _NAMED.match(line):
            kind, number, name = matched.groups()
            if name is not None:
                names[number] = _LEVEL.sub("", name)
            if kind == "fn":
                function = names[number]
            else:
                callee = names[number]
        elif line.startswith("calls="):
            times = int(line[6:].split()[0])
            counts.calls[function, callee] += times
            counts.called[function, callee] += _cost(next(rest, ""))
        elif line[:1] in "0123456789+-*" and line.strip():
            cost = _cost(line)
            counts.own[function] += cost
            counts.total += cost
    return counts


def combined(parts: Iterable[tuple[float, Counts]]) -> Counts:
    """Return the sum of *parts*, each so many times."""
    found = Counts()
    for factor, part in parts:
        found.total += round(factor * part.total)
        for sums, figures in (
            (found.own, part.own),
            (found.calls, part.calls),
            (found.called, part.called),
        ):
            _add(sums, figures, factor)
    return found


def _add(sums: Counter[Any], figures: Counter[Any], factor: float) -> None:
    for name, figure in figures.items():
        sums[name] += round(factor * figure)


def inclusive(counts: Counts) -> Iterator[tuple[str, int, int]]:
    """Yield each function that was called, how often, and what that has cost in all."""
    times: Counter[str] = Counter()
    costs: Counter[str] = Counter()
    for (_, callee), number in counts.calls.items():
        times[callee] += number
    for (_, callee), cost in counts.called.items():
        costs[callee] += cost
    for name, number in times.items():
        yield name, number, costs[name]


def _cost(line: str) -> int:
    matched = _COST.match(line)
    if matched is None:
        raise ValueError(f"no line of costs: {line!r}")
    return int(matched[1])
