"""nginx, which need not know tus: PUT as the large upload, GET of a static file as download."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import peers
from benchmarks.compare.commands import NotStartedError
from benchmarks.compare.figures import figures_of_result
from benchmarks.compare.record import Server
from fileloft_fast.bench.failure import RefusedError
from fileloft_fast.bench.measure import measure
from fileloft_fast.bench.process import Process
from fileloft_fast.bench.scene import Outcome
from fileloft_fast.bench.target import parse_target
from fileloft_fast.bench.words import size_of
from fileloft_fast.bench.works import Work
from fileloft_fast.dataplane import load as native

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.bench.scene import Scene
    from fileloft_fast.bench.sizes import Sizes
    from fileloft_fast.bench.source import Source


@dataclass(frozen=True, slots=True)
class Nginx:
    """nginx with one worker, its DAV module and sendfile."""

    server: Server
    works: frozenset[str] = frozenset({"large", "download"})

    def measure(self, work: str, folder: Path, sizes: Sizes, source: Source) -> dict[str, float]:
        """Start it and put a file, or get one that was put before the clock."""
        files = folder / "data"
        files.mkdir()
        with peers.nginx(files, folder) as peer:
            target = parse_target("http://{}:{}/file".format(*peer.address))
            process = Process(peer.pid)
            result = measure(_WORKS[work], target, sizes, process=process, source=source)
            return figures_of_result(result)


def plan_nginx() -> Nginx:
    """Return nginx as a row. Raises NotStartedError where it is not installed."""
    program = peers.find_nginx()
    if program is None:
        raise NotStartedError("not installed (Debian: nginx-light)")
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)  # noqa: S603
    found = re.search(r"nginx/(\S+)", said.stderr)
    version = found[1] if found else ""
    return Nginx(Server(name="nginx", version=version, sync="no", checksum="no"))


def _put(scene: Scene) -> Outcome:
    size = scene.sizes.size_bytes
    scene.run(_plan_put(scene), size, "B")
    return Outcome(done=f"one PUT of {size_of(size)}", units=1, bytes=size)


def _get(scene: Scene) -> Outcome:
    size = scene.sizes.size_bytes
    before = scene.run_aside(_plan_put(scene))
    if before.failures:
        raise RefusedError("PUT", before.first_failure.decode("latin-1"))
    step = native.Step(scene.head("GET", scene.target.path), 200)
    got = scene.run(scene.plan([[step]], units=1, connections=1), size, "B")
    if got.bytes_received != size:
        scene.clock.fail(f"GET: {got.bytes_received} bytes")
    return Outcome(done=f"one GET of {size_of(size)}", units=1, bytes=size)


def _plan_put(scene: Scene) -> native.Load:
    size = scene.sizes.size_bytes
    head = scene.head("PUT", scene.target.path, length=size)
    step = native.Step(head, 201, file=scene.source.fd, length=size)
    return scene.plan([[step]], units=1, connections=1)


_WORKS: Final = {
    "large": Work("large", "one PUT", _put),
    "download": Work("download", "one GET of a static file", _get),
}
