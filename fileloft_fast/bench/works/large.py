"""large: one upload by one PATCH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.words import size_of

if TYPE_CHECKING:
    from fileloft_fast.bench.scene import Scene


def large(scene: Scene) -> Outcome:
    """Send one body as fast as the server takes it; the upload is created before the clock."""
    size = scene.fit(scene.sizes.size_bytes)
    path = scene.create(size)
    load = scene.plan([[scene.patch(path, 0, size)]], units=1, connections=1)
    scene.run(load, size, "B")
    whole = scene.verify(path, size)
    return Outcome(done=f"one PATCH of {size_of(size)}", units=1, bytes=size if whole else 0)
