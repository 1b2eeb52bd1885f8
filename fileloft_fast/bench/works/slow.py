"""slow: uploads by the thousand whose bytes trickle in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from fileloft_fast.bench.clock import cpu_s
from fileloft_fast.bench.latency import latency_of
from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.words import size_of

if TYPE_CHECKING:
    from fileloft_fast.bench.process import Process
    from fileloft_fast.bench.scene import Scene
    from fileloft_fast.dataplane import load as native

_STEADY: Final = (0.25, 0.75)
"""Between these parts of the bytes all connections trickle: requests have begun, and none ends."""


class _Reading(NamedTuple):
    at_s: float
    server_s: float
    client_s: float


@dataclass(slots=True)
class Steady:
    """What trickling alone costs, without a thousand requests that begin and end."""

    process: Process
    total: int
    """Bytes that are sent in all."""
    first: _Reading | None = None
    last: _Reading | None = None

    def look(self, load: native.Load) -> None:
        """Read what was used until now, where *load* is in the midst of it."""
        least, most = _STEADY
        if least * self.total <= load.bytes_sent <= most * self.total:
            reading = _Reading(time.monotonic(), self.process.read().cpu_s, cpu_s())
            self.first = self.first or reading
            self.last = reading

    def figures(self) -> dict[str, float]:
        """Return percents of a core; empty where the midst was too short to be seen twice."""
        if self.first is None or self.last is None or self.first is self.last:
            return {}
        seconds = self.last.at_s - self.first.at_s
        return {
            "cpu_percent_of_a_core": 100 * (self.last.server_s - self.first.server_s) / seconds,
            "client_percent_of_a_core": 100 * (self.last.client_s - self.first.client_s) / seconds,
        }


def slow(scene: Scene) -> Outcome:
    """Send small pieces at a fixed pace on many connections at once."""
    sizes = scene.sizes
    count, piece = sizes.slow_connections, sizes.slow_piece_bytes
    pieces = max(1, round(sizes.slow_s / sizes.slow_interval_s))
    size = scene.fit(piece * pieces)
    paths = [scene.create(size) for _ in range(count)]
    scripts = [[scene.patch(path, 0, size, pace=(piece, sizes.slow_interval_s))] for path in paths]
    load = scene.plan(scripts, units=count, connections=count)
    process = scene.clock.process
    steady = Steady(process, size * count) if process else None
    scene.run(load, size * count, "B", steady.look if steady else None)
    whole = sum(scene.verify(path, size) for path in paths)
    figures = {"bytes_per_s": size * count / scene.clock.seconds if scene.clock.seconds else 0.0}
    server = scene.clock.server
    if server is not None:
        figures["cpu_percent_with_beginnings"] = 100 * server.cpu_s / scene.clock.seconds
        trickling = steady.figures() if steady else {}
        if not trickling:
            scene.note("too short to tell the CPU of trickling from that of requests that begin")
        figures |= trickling
        if not server.peak_since_start:
            more = max(0, server.peak_rss_bytes - server.rss_before_bytes)
            figures["rss_per_connection_bytes"] = more / count
        else:
            scene.note("the peak of memory could not begin anew: nothing is said per connection")
    return Outcome(
        done=f"{count} uploads at once, {size_of(piece)} each {sizes.slow_interval_s * 1000:g} ms",
        units=count,
        bytes=size * whole,
        latency=latency_of(load.unit_histogram),
        figures=figures,
    )
