"""What a run found: every sample of every round, and all that a reader needs to judge them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

from fileloft_fast.bench.results import Machine  # noqa: TC001 - msgspec resolves it
from fileloft_fast.bench.summary import Spread, spread

if TYPE_CHECKING:
    from pathlib import Path


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server that took part, and what it promises when it answers."""

    name: str
    version: str
    sync: str
    checksum: str


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one server made of one work in one round."""

    work: str
    server: str
    round: int
    figures: dict[str, float]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Samples are kept as they came; medians are made where it is rendered."""

    at: str
    command: str
    seconds: float
    rounds: int
    machine: Machine
    sizes: dict[str, int | float]
    servers: tuple[Server, ...]
    samples: tuple[Sample, ...]
    missing: tuple[str, ...] = ()
    """A line for each server that could not be measured, or not at one work."""


def figures_of(record: Record, work: str, server: str, key: str) -> dict[int, float]:
    """Return a figure in each round in which it was taken."""
    return {
        sample.round: sample.figures[key]
        for sample in record.samples
        if sample.work == work and sample.server == server and key in sample.figures
    }


def maybe_spread(record: Record, work: str, server: str, key: str) -> Spread | None:
    """Return the median, the least and the most of a figure; None where there is none."""
    return spread(figures_of(record, work, server, key).values())


def maybe_ratio(
    record: Record, work: str, mine: tuple[str, str], theirs: tuple[str, str]
) -> float | None:
    """Return the median of the rounds' ratios of (server, figure) to another.

    What disturbs a whole round disturbs the ratio of two figures of it little.
    """
    ours, others = (figures_of(record, work, *one) for one in (mine, theirs))
    ratios = [ours[at] / others[at] for at in sorted(ours) if others.get(at)]
    return statistics.median(ratios) if ratios else None


def read_record(path: Path) -> Record:
    """Read a record that was written before."""
    return msgspec.json.decode(path.read_bytes(), type=Record)


def write_record(path: Path, record: Record) -> None:
    """Write the record; a line a sample, so that a difference of two runs can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
