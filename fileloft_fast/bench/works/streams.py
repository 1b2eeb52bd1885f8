"""streams: several uploads at once, each in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.bench.scene import Outcome, steps_latency
from fileloft_fast.bench.words import size_of

if TYPE_CHECKING:
    from fileloft_fast.bench.scene import Scene


def streams(scene: Scene) -> Outcome:
    """Send uploads side by side, chunk after chunk; latencies are those of chunks."""
    count, chunk = scene.sizes.streams, scene.sizes.chunk_bytes
    size = scene.fit(max(1, scene.sizes.size_bytes // count))
    paths = [scene.create(size) for _ in range(count)]
    starts = range(0, size, chunk)
    scripts = [[scene.chunk(path, at, chunk, size) for at in starts] for path in paths]
    load = scene.plan(scripts, units=count, connections=count)
    scene.run(load, size * count, "B")
    whole = sum(scene.verify(path, size) for path in paths)
    return Outcome(
        done=f"{count} uploads of {size_of(size)} at once, chunks of {size_of(min(chunk, size))}",
        units=count,
        bytes=size * whole,
        latency=steps_latency(load, range(len(starts))),
    )
