"""What is measured, and which figures come of it: a row a work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fileloft_fast.bench.sizes import MIB


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a work: its key in the record, how it is called and how exactly it is told."""

    key: str
    title: str
    digits: int
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that servers are asked to do; the first figure is what it is about."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    every: int = 1
    """It is done in every so-manieth round: what takes long is done less often."""
    most_bytes: int = 512 * MIB
    note: str = ""
    """What a reader of its table must know."""

    @property
    def headline(self) -> Figure:
        """The figure that the plot shows."""
        return self.figures[0]


RATE: Final = Figure("gb_per_s", "GB/s", 2, more_is_better=True)
CPU: Final = Figure("cpu_s_per_gb", "server CPU s/GB", 2)
PEAK: Final = Figure("peak_mib", "peak RSS, MiB", 0)
CLIENT: Final = Figure("client_cpu_s_per_gb", "client CPU s/GB", 2)
UPLOADS: Final = Figure("uploads_per_s", "uploads/s", 0, more_is_better=True)
MEDIAN: Final = Figure("p50_ms", "median, ms", 1)
TAIL: Final = Figure("p99_ms", "p99, ms", 1)
CPU_SMALL: Final = Figure("cpu_s_per_1000", "server CPU s per 1,000", 3)
SWITCHES: Final = Figure("switches_per_1000", "context switches per 1,000", 0)
RSS: Final = Figure("kib_per_upload", "RSS per upload, KiB", 1)
CORE: Final = Figure("core_percent", "server CPU, % of a core", 1)
WRONG: Final = Figure("wrong_offsets", "wrong offsets", 0)
CLIENT_CORE: Final = Figure("client_core_percent", "client CPU, % of a core", 1)

WORKS: Final = (
    Work(
        "small",
        "4 KiB uploads on 32 connections",
        (UPLOADS, CPU_SMALL, MEDIAN, TAIL, SWITCHES),
        note="One request each. The limit is no server: threads that create, write and, where it"
        " syncs, sync a data file, an info file and their directory: 2 threads unsynced, 16 synced."
        " A slow server makes fewer uploads, as many as it does in 2 s.",
    ),
    Work(
        "large",
        "One PATCH of 512 MiB",
        (RATE, CPU, PEAK, CLIENT),
        note="nginx takes the same bytes by PUT.",
    ),
    Work(
        "streams",
        "8 uploads of 32 MiB at once, in PATCHes of 8 MiB",
        (RATE, CPU, PEAK),
        most_bytes=256 * MIB,
    ),
    Work(
        "chunks",
        "256 MiB in PATCHes of 8 MiB with sha1",
        (RATE, CPU, PEAK, CLIENT),
        most_bytes=256 * MIB,
        note="Only servers that refuse a wrong checksum. The limit has one thread for both.",
    ),
    Work(
        "download",
        "GET of 512 MiB",
        (RATE, CPU, CLIENT),
        note="nginx serves a static file; the limit is one thread with sendfile.",
    ),
    Work(
        "resume",
        "HEAD while another connection holds the upload and stalls",
        (TAIL, MEDIAN, WRONG),
        every=2,
        note="The holder sends a part of its body and stalls. A wrong offset is any but what it has"
        " sent; the upload is taken over afterwards, or the work has failed.",
    ),
    Work(
        "slow",
        "1,000 uploads that trickle, 20 pieces a second each",
        (RSS, CORE, CLIENT_CORE),
        every=2,
        note="Memory that the server grows by, divided by the uploads. CPU is that of trickling:"
        " from the first quarter of the bytes to the third, without requests that begin or end.",
    ),
)
