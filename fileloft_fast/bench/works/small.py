"""small: many small uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.bench.failure import RefusedError
from fileloft_fast.bench.latency import latency_of
from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.words import size_of
from fileloft_fast.dataplane import load as native
from fileloft_fast.model import Capability

if TYPE_CHECKING:
    from fileloft_fast.bench.results import Latency
    from fileloft_fast.bench.scene import Scene
    from fileloft_fast.bench.wire import Answer


def small(scene: Scene) -> Outcome:
    """Make uploads, each by one request where the server can, else by POST and PATCH.

    One is made by hand before, and asked for by HEAD. Where its answer had an Upload-Offset, as
    tus demands, the answers of all others must have the right one too.
    """
    sizes = scene.sizes
    size = scene.fit(sizes.small_bytes)
    body = scene.source.read(0, size)
    script = _try_one_request(scene, body)
    at_once = script is not None
    if script is None:
        script = _try_two_requests(scene, body)
    connections = min(sizes.connections, sizes.small_count)
    load = scene.plan([script], units=sizes.small_count, connections=connections, rate=sizes.rate)
    scene.run(load, sizes.small_count, "uploads")
    made = sizes.small_count - sum(load.failures.values())
    scene.unnamed += [size] * made
    parts: dict[str, Latency | None] = {}
    if not at_once:
        parts = {name: latency_of(load.histogram(at)) for at, name in enumerate(("POST", "PATCH"))}
    how = "one request each" if at_once else "POST and PATCH"
    how += f", {sizes.rate:g} a second" if sizes.rate else ""
    return Outcome(
        done=f"{sizes.small_count} uploads of {size_of(size)} on {connections} connections, {how}",
        units=sizes.small_count,
        bytes=made * size,
        latency=latency_of(load.unit_histogram),
        parts=parts,
    )


def _try_one_request(scene: Scene, body: bytes) -> list[native.Step] | None:
    """Try a creation with bytes; return how it is made, None where the server has no such thing.

    Raises RefusedError.
    """
    if not scene.target.may(Capability.CREATION_WITH_UPLOAD):
        return None
    fields = scene.target.dialect.whole(len(body))
    answer = scene.ask("POST", scene.target.path, fields, body)
    if answer.status == 201 and answer.path:
        scene.made[answer.path] = 0
        if scene.ask("HEAD", answer.path).offset == len(body):
            scene.made[answer.path] = len(body)
            head = scene.head("POST", scene.target.path, fields, len(body))
            return [native.Step(head, 201, body=body, offset=_told(answer, len(body)))]
    if scene.target.advertises(Capability.CREATION_WITH_UPLOAD):
        scene.note(f"creation-with-upload is advertised, but answered {answer.said()}")
    return None


def _try_two_requests(scene: Scene, body: bytes) -> list[native.Step]:
    """Try a creation and a PATCH, and return how they are made.

    Raises RefusedError, NotOfferedError.
    """
    dialect, path = scene.target.dialect, scene.create(len(body))
    answer = scene.append(path, 0, body)
    if answer.status != dialect.ended_status:
        raise RefusedError(f"PATCH: {answer.status}", f"PATCH {path}: {answer.said()}")
    if not scene.verify(path, len(body)):
        raise RefusedError("upload that was tried")
    create = scene.head("POST", scene.target.path, dialect.creation(len(body)), 0)
    append = scene.head("PATCH", "{location}", dialect.append(0, ends=True), len(body))
    return [
        native.Step(create, 201, keeps_location=True),
        native.Step(append, dialect.ended_status, body=body, offset=_told(answer, len(body))),
    ]


def _told(answer: Answer, size: int) -> int:
    """Return the Upload-Offset that is wanted; -1, any, of a server that does not tell it."""
    return -1 if answer.offset is None else size
