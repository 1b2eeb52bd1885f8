"""slow: uploads by the thousand whose bytes trickle in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.bench.latency import latency_of
from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.words import size_of

if TYPE_CHECKING:
    from fileloft_fast.bench.scene import Scene


def slow(scene: Scene) -> Outcome:
    """Send small pieces at a fixed pace on many connections at once."""
    sizes = scene.sizes
    count, piece = sizes.slow_connections, sizes.slow_piece_bytes
    pieces = max(1, round(sizes.slow_s / sizes.slow_interval_s))
    size = scene.fit(piece * pieces)
    paths = [scene.create(size) for _ in range(count)]
    scripts = [[scene.patch(path, 0, size, pace=(piece, sizes.slow_interval_s))] for path in paths]
    load = scene.plan(scripts, units=count, connections=count)
    scene.run(load, size * count, "B")
    whole = sum(scene.verify(path, size) for path in paths)
    figures = {"bytes_per_s": size * count / scene.clock.seconds if scene.clock.seconds else 0.0}
    server = scene.clock.server
    if server is not None:
        figures["cpu_percent_of_a_core"] = 100 * server.cpu_s / scene.clock.seconds
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
