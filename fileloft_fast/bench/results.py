"""What was measured, as it is written to JSON: ``Report`` is the whole document.

A field that is added keeps ``schema``; one that changes its meaning or goes makes it larger.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

import msgspec
from msgspec import Struct

from fileloft_fast.bench.failure import BenchError

SCHEMA: Final = 1


class Limit(StrEnum):
    """Who had no more to give; the rule is in ``limit.py``."""

    CLIENT = "client"
    SERVER = "server"
    NEITHER = "neither"
    UNKNOWN = "not client"


class Latency(Struct, frozen=True, kw_only=True):
    """How long each of *count* requests or units took, in seconds.

    ``curve`` is pairs of percentile (0 to 100) and seconds, for a plot.
    """

    count: int
    min_s: float
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    p999_s: float
    max_s: float
    curve: tuple[tuple[float, float], ...] = ()


class ServerUse(Struct, frozen=True, kw_only=True):
    """What the server's processes used while a work ran.

    ``busiest_thread_s`` is the CPU time of the one thread that used most. Memory is added up over
    the processes. ``peak_since_start``: the kernel did not let the peak begin anew, so it is the
    peak since the server's start.
    """

    cpu_s: float
    busiest_thread_s: float
    rss_before_bytes: int
    peak_rss_bytes: int
    peak_since_start: bool
    voluntary_switches: int
    involuntary_switches: int
    processes: int = 1


class Result(Struct, frozen=True, kw_only=True):
    """One work, once.

    ``bytes`` is what units that did not fail sent or received, without heads. ``parts`` is the
    latencies of the kinds of requests within a unit. ``figures`` is what this work has besides;
    each name ends with its unit. ``not_offered`` says what the server lacks: then nothing ran.
    """

    work: str
    protocol: str = "tus"
    done: str = ""
    units: int = 0
    bytes: int = 0
    seconds: float = 0.0
    failures: dict[str, int] = {}
    first_failure: str = ""
    latency: Latency | None = None
    parts: dict[str, Latency] = {}
    client_cpu_s: float = 0.0
    client_threads: int = 1
    server: ServerUse | None = None
    limit: Limit = Limit.UNKNOWN
    figures: dict[str, float] = {}
    notes: tuple[str, ...] = ()
    not_offered: str | None = None
    uploads_left: int = 0
    bytes_left: int = 0
    round: int = 1

    @property
    def failed(self) -> int:
        """How many failures there were."""
        return sum(self.failures.values())


class Offers(Struct, frozen=True, kw_only=True):
    """What the answer to OPTIONS said; ``extensions`` is None where it did not say."""

    status: int = 0
    server: str = ""
    tus_version: str = ""
    extensions: tuple[str, ...] | None = None
    checksums: tuple[str, ...] = ()
    max_size: int | None = None


class Mount(Struct, frozen=True, kw_only=True):
    """Where a directory is kept: ``ext4`` on ``/dev/vda1``."""

    path: str
    kind: str
    device: str


class Machine(Struct, frozen=True, kw_only=True):
    """The machine that the tool runs on; the server's too where it is on the same one."""

    cpu: str
    cpus: int
    memory_bytes: int
    kernel: str
    python: str
    packages: dict[str, str]
    commit: str = ""
    tool_directory: Mount | None = None
    server_directory: Mount | None = None


class Report(Struct, frozen=True, kw_only=True):
    """One run of ``fileloft-fast bench``; tokens in the command line are replaced by ``***``."""

    format: Literal["fileloft-fast-bench"] = "fileloft-fast-bench"
    schema: Literal[1] = SCHEMA
    at: str
    command: tuple[str, ...]
    url: str
    offers: Offers
    machine: Machine
    sizes: dict[str, int | float]
    rounds: int
    results: tuple[Result, ...]

    @property
    def failed(self) -> int:
        """How many failures all works had."""
        return sum(result.failed for result in self.results)


def encode_report(report: Report) -> bytes:
    """Return *report* as JSON that people can read too."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode_report(text: bytes) -> Report:
    """Return the report of *text*. Raises BenchError where it is none of this schema."""
    try:
        return msgspec.json.decode(text, type=Report)
    except msgspec.DecodeError as wrong:
        raise BenchError(f"no report of schema {SCHEMA}: {wrong}") from None
