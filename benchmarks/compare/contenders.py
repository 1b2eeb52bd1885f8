"""Who takes part: each starts its own server in an empty folder, does one work and says figures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from benchmarks.compare.commands import NotStartedError
from benchmarks.compare.figures import figures_of_result
from fileloft_fast.bench.failure import BenchError
from fileloft_fast.bench.measure import measure
from fileloft_fast.bench.process import Process
from fileloft_fast.bench.target import discover
from fileloft_fast.bench.works import WORKS

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.compare.record import Server
    from benchmarks.peers import Peer
    from fileloft_fast.bench.sizes import Sizes
    from fileloft_fast.bench.source import Source
    from fileloft_fast.bench.target import Target

Launch = Callable[["Path"], AbstractContextManager["Peer"]]
EVERYTHING: Final = frozenset(WORKS)
WARM_UPLOADS: Final = 100
SMALL_S: Final = 2.0
"""What the small uploads of a slow server take; it makes fewer than the others."""


class Contender(Protocol):
    """One row of the tables."""

    @property
    def server(self) -> Server:
        """What the tables say about it."""

    @property
    def works(self) -> frozenset[str]:
        """What it is asked to do."""

    def measure(self, work: str, folder: Path, sizes: Sizes, source: Source) -> dict[str, float]:
        """Start it in *folder*, let it do *work* once and end it.

        Raises NotStartedError and NotMeasuredError.
        """


@dataclass(frozen=True, slots=True)
class TusServer:
    """A server that the load tool measures: ours, a peer, one that the user names."""

    server: Server
    launch: Launch
    path: str = "/files/"
    works: frozenset[str] = EVERYTHING

    def measure(self, work: str, folder: Path, sizes: Sizes, source: Source) -> dict[str, float]:
        """Start it, warm it up by small uploads and let it do the work."""
        with self.launch(folder) as peer:
            host, port = peer.address
            target = _discover(f"http://{host}:{port}{self.path}")
            few = replace(sizes, small_count=WARM_UPLOADS)
            warm = measure(WORKS["small"], target, few, source=source)
            if work == "small" and warm.seconds:
                enough = max(WARM_UPLOADS, int(warm.units / warm.seconds * SMALL_S))
                sizes = replace(sizes, small_count=min(sizes.small_count, enough))
            process = Process(peer.pid)
            result = measure(WORKS[work], target, sizes, process=process, source=source)
            return figures_of_result(result)


def _discover(url: str) -> Target:
    try:
        return discover(url)
    except BenchError as error:
        raise NotStartedError(str(error)) from error
