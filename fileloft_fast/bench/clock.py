"""The clock of a work: seconds, CPU of the tool and of the server, and what failed."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fileloft_fast.bench.failure import RefusedError

if TYPE_CHECKING:
    from fileloft_fast.bench.process import Process
    from fileloft_fast.bench.results import ServerUse


@dataclass(slots=True)
class Clock:
    """What a work has spent while the clock ran: neither preparing nor checking it counts."""

    process: Process | None = None
    seconds: float = 0.0
    client_cpu_s: float = 0.0
    server: ServerUse | None = None
    failures: Counter[str] = field(default_factory=Counter)
    first_failure: str = ""
    running: bool = False

    def fail(self, what: str, said: str = "", times: int = 1) -> None:
        """Count a failure; of the first one it is kept what was said."""
        self.failures[what] += times
        self.first_failure = self.first_failure or said or what

    @contextmanager
    def run(self) -> Iterator[None]:
        """Let it run; within a run of it, nothing more. Raises RefusedError: the server is gone."""
        if self.running:
            yield
            return
        before = self.process.begin() if self.process else None
        self.running = True
        used_s, begun_s = cpu_s(), time.monotonic()
        try:
            yield
        finally:
            self.running = False
            self.seconds += time.monotonic() - begun_s
            self.client_cpu_s += cpu_s() - used_s
        if self.process and before:
            try:
                self.server = self.process.used_since(before)
            except OSError as error:
                raise RefusedError("server ended", "the server's process has ended") from error


def cpu_s() -> float:
    """Return the CPU time of this process: its threads, and the kernel's work for them."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
