"""download: GET of an upload that is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.failure import NotOfferedError, RefusedError
from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.sizes import KIB
from fileloft_fast.bench.words import size_of
from fileloft_fast.dataplane import load as native

if TYPE_CHECKING:
    from fileloft_fast.bench.scene import Scene

_LOOKED_AT: Final = 64 * KIB


def download(scene: Scene) -> Outcome:
    """Get an upload that was made before the clock; a small one's bytes were compared before."""
    if not scene.target.dialect.downloads:
        raise NotOfferedError("GET is no download by this protocol")
    size = scene.fit(scene.sizes.size_bytes)
    _ensure_served(scene)
    path = scene.create(size)
    scene.run_aside(scene.plan([[scene.patch(path, 0, size)]], units=1, connections=1))
    if not scene.verify(path, size):
        raise RefusedError("upload to get")
    step = native.Step(scene.head("GET", path), 200)
    load = scene.plan([[step]], units=1, connections=1)
    scene.run(load, size, "B")
    if not load.failures and load.bytes_received != size:
        scene.clock.fail("GET: length", f"GET gave {load.bytes_received} bytes instead of {size}")
    return Outcome(
        done=f"one GET of {size_of(size)}",
        units=1,
        bytes=0 if scene.clock.failures else size,
    )


def _ensure_served(scene: Scene) -> None:
    """Get a small upload and compare it. Raises NotOfferedError, RefusedError."""
    content = scene.source.read(0, scene.fit(_LOOKED_AT))
    path = scene.create(len(content))
    put = scene.append(path, 0, content)
    if put.status != 204:
        raise RefusedError(f"PATCH: {put.status}", put.said())
    scene.made[path] = len(content)
    got = scene.ask("GET", path)
    if got.status in {400, 401, 403, 404, 405, 412, 501}:
        raise NotOfferedError(f"GET of an upload is answered {got.status}")
    if got.status != 200:
        raise RefusedError(f"GET: {got.status}", got.said())
    if got.body != content:
        raise RefusedError("GET: other bytes than were sent")
