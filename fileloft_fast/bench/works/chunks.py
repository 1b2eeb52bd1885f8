"""chunks: one upload in chunks, each with its checksum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.bench.failure import NotOfferedError, RefusedError
from fileloft_fast.bench.scene import Outcome, steps_latency
from fileloft_fast.bench.source import DIGESTS
from fileloft_fast.bench.words import size_of
from fileloft_fast.model import Capability

if TYPE_CHECKING:
    from fileloft_fast.bench.scene import Scene


def chunks(scene: Scene) -> Outcome:
    """Send chunks one after the other; their digests are computed before the clock."""
    algorithm = plan_algorithm(scene)
    size = scene.fit(scene.sizes.size_bytes)
    chunk = min(scene.sizes.chunk_bytes, size)
    _ensure_verified(scene, algorithm)
    path = scene.create(size)
    starts = range(0, size, chunk)
    script = []
    for at in starts:
        digest = scene.source.digest(algorithm, at, min(chunk, size - at))
        fields = scene.target.dialect.checksum(algorithm, digest)
        script.append(scene.chunk(path, at, chunk, size, fields))
    load = scene.plan([script], units=1, connections=1)
    scene.run(load, size, "B")
    whole = scene.verify(path, size)
    return Outcome(
        done=f"{size_of(size)} in chunks of {size_of(chunk)} with {algorithm}",
        units=1,
        bytes=size if whole else 0,
        latency=steps_latency(load, range(len(starts))),
    )


def plan_algorithm(scene: Scene) -> str:
    """Return which checksum is sent: the one asked for, else the first that both know.

    Raises NotOfferedError.
    """
    offered = scene.target.dialect.algorithms or scene.target.offers.checksums
    wanted = scene.sizes.checksum
    if not scene.target.may(Capability.CHECKSUM):
        raise NotOfferedError("checksum is not offered")
    if wanted and offered and wanted not in offered:
        raise NotOfferedError(f"{wanted} is not offered, only {', '.join(offered)}")
    known = [name for name in DIGESTS if name in offered] if offered else ["sha1"]
    if not known and not wanted:
        raise NotOfferedError(f"none of {', '.join(offered)} can be computed here")
    return wanted or known[0]


def _ensure_verified(scene: Scene, algorithm: str) -> None:
    """Send a chunk with a wrong checksum: a server that takes it computes none.

    Raises NotOfferedError, RefusedError.
    """
    dialect, body = scene.target.dialect, b"checked?"
    path = scene.create(len(body))
    wrong = dialect.checksum(algorithm, scene.source.digest(algorithm, 0, 1))
    fields = {**dialect.append(0, ends=True), **wrong}
    answer = scene.ask("PATCH", path, fields, body)
    if answer.status < 300:
        scene.made[path] = len(body)
        raise NotOfferedError(f"a wrong {algorithm} is taken, so it is not verified")
    if answer.status == dialect.mismatch_status:
        return
    if answer.status == 400 and not scene.target.offers.checksums:
        raise NotOfferedError(f"{algorithm} is not known")
    raise RefusedError(f"PATCH with a wrong checksum: {answer.status}", answer.said())
