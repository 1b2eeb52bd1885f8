"""Run one work against one server."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from fileloft_fast.bench.clock import Clock
from fileloft_fast.bench.failure import NotOfferedError, RefusedError
from fileloft_fast.bench.limit import who_was_the_limit
from fileloft_fast.bench.results import Result
from fileloft_fast.bench.scene import Outcome, Scene
from fileloft_fast.bench.source import Source
from fileloft_fast.bench.watching import Silent
from fileloft_fast.bench.wire import Client
from fileloft_fast.model import Capability

if TYPE_CHECKING:
    from fileloft_fast.bench.process import Process
    from fileloft_fast.bench.sizes import Sizes
    from fileloft_fast.bench.target import Target
    from fileloft_fast.bench.watching import Progress
    from fileloft_fast.bench.works import Work


def measure(  # noqa: PLR0913 - what is left out has a meaning
    work: Work,
    target: Target,
    sizes: Sizes,
    *,
    process: Process | None = None,
    progress: Progress | None = None,
    source: Source | None = None,
    deletes: bool = False,
    turn: int = 1,
) -> Result:
    """Run *work* and return what it came to; whatever the server does wrong is in the result.

    Blocks. *source* is made where none is given; one that several works share saves its making.
    *deletes*: uploads are terminated afterwards, where that is advertised. *turn* is the round.
    """
    with ExitStack() as closing:
        client = closing.enter_context(
            Client(target.address, target.host, target.always, timeout_s=sizes.timeout_s)
        )
        scene = Scene(
            target=target,
            sizes=sizes,
            source=source or closing.enter_context(Source()),
            client=client,
            clock=Clock(process),
            progress=progress or Silent(),
            title=work.name,
        )
        outcome, lacking = _run(work, scene)
        if deletes and target.advertises(Capability.TERMINATION):
            _delete(scene)
        return _result(work.name, scene, outcome, lacking, turn)


def _run(work: Work, scene: Scene) -> tuple[Outcome, str | None]:
    """Return what it did, and what the server lacks for it: None where nothing."""
    try:
        return work.run(scene), None
    except NotOfferedError as lacking:
        return Outcome(done="", units=0), str(lacking)
    except RefusedError as wrong:
        scene.clock.fail(wrong.what, wrong.said)
        return Outcome(done=work.meaning, units=0), None


def _delete(scene: Scene) -> None:
    try:
        scene.delete()
    except RefusedError as wrong:
        scene.clock.fail(wrong.what, wrong.said)
    if scene.unnamed:
        scene.note(f"{len(scene.unnamed)} uploads are not deleted: their paths were not kept")


def _result(name: str, scene: Scene, outcome: Outcome, lacking: str | None, turn: int) -> Result:
    clock, threads = scene.clock, scene.sizes.threads
    return Result(
        work=name,
        protocol=scene.target.dialect.name,
        done=outcome.done,
        units=outcome.units,
        bytes=outcome.bytes,
        seconds=clock.seconds,
        failures=dict(clock.failures),
        first_failure=clock.first_failure,
        latency=outcome.latency,
        parts={name: part for name, part in outcome.parts.items() if part is not None},
        client_cpu_s=clock.client_cpu_s,
        client_threads=threads,
        server=clock.server,
        limit=who_was_the_limit(clock.seconds, clock.client_cpu_s, threads, clock.server),
        figures=dict(outcome.figures),
        notes=tuple(scene.notes),
        not_offered=lacking,
        uploads_left=len(scene.made) + len(scene.unnamed),
        bytes_left=sum(scene.made.values()) + sum(scene.unnamed),
        round=turn,
    )
