"""A directory with 10 to 1,000,000 uploads: starting, serving, sweeping, listing."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.growth.fill import ensure_filled, upload_id
from benchmarks.growth.probe import Probe, latencies
from fileloft_fast.bench.process import cpu_s
from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.growth.results import Values

SIZES: Final = (10, 100, 1000, 10_000, 100_000, 1_000_000)
QUICK: Final = SIZES[:4]

_STARTS: Final = 3
_REQUESTS: Final = 500
_OBSERVED_S: Final = 5.0
_DECADE: Final = str(10 * 365 * 86_400)
_PLAIN: Final = {"FILELOFT_SYNC": "none"}

YOUNG: Final = {
    "FILELOFT_ENABLE_EXPIRATION": "1",
    "FILELOFT_EXPIRATION_TTL": _DECADE,
    "FILELOFT_SWEEP_INTERVAL": "1",
}
"""All uploads are younger than the time after which they may expire."""

OLD: Final = YOUNG | {"FILELOFT_EXPIRATION_TTL": "1"}
"""All are older; but they are finished, and stay."""


def measure(folder: Path, number: int) -> Values:
    """Measure all there is to a directory of *number* uploads, which is made where it is not."""
    data = folder / f"of-{number}"
    ensure_filled(data, number)
    works: tuple[Callable[[Path, int], Values], ...] = (_start, _check, _sweep, _serve)
    values: Values = {}
    for work in works:
        values |= work(data, number)
    return values


def measure_listing(folder: Path, number: int) -> Values:
    """Run ``ls``, which opens each upload: of a million that are in no cache it takes minutes."""
    data = folder / f"of-{number}"
    ensure_filled(data, number)
    seconds, spent_s, peak = run_command("ls", data, {})
    return {"ls_s": seconds, "ls_cpu_s": spent_s, "ls_rss_mib": peak}


def _start(data: Path, number: int) -> Values:
    seconds = list[float]()
    resident = 0
    for turn in range(_STARTS):
        began = time.monotonic()
        with Server(data, _PLAIN) as server:
            _check_there(Endpoint(server).head(_path(turn % number)).status)
            seconds.append(time.monotonic() - began)
            resident = server.memory()
    return {"start_s": statistics.median(seconds), "start_rss_mib": resident / 2**20}


def _serve(data: Path, number: int) -> Values:
    chosen = random.Random(number)  # noqa: S311 - a choice, not a secret
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS}
    creating = render_request("POST", "/files/", {"Upload-Length": "8192"})
    uploads: list[str] = []
    with Server(data, _PLAIN) as server, Endpoint(server).connect() as wire:
        tus = Endpoint(server)

        def create() -> None:
            answer = wire.ask(creating)
            uploads.append(tus.path_of(answer))

        def look() -> None:
            _check_there(wire.ask(render_request("HEAD", _path(chosen.randrange(number)))).status)

        def append() -> None:
            sent = wire.ask(render_request("PATCH", uploads.pop(), fields, b"x" * 1024))
            if sent.status != 204:
                raise RuntimeError("PATCH failed")

        created, looked, appended = (_time(each) for each in (create, look, append))
    return {
        "creates_per_s": len(created) / sum(created),
        **latencies("create", created),
        **latencies("head", looked),
        **latencies("patch", appended),
    }


def _check(data: Path, _number: int) -> Values:
    seconds, *_ = run_command("check", data, {})
    return {"check_s": seconds}


def _sweep(data: Path, _number: int) -> Values:
    spent_s, spent_cpu_s, peak = run_command("sweep", data, YOUNG)
    values = {"sweep_s": spent_s, "sweep_cpu_s": spent_cpu_s, "sweep_rss_mib": peak}
    ways: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("unswept", {}),
        ("young", YOUNG),
        ("old", OLD),
    )
    for name, settings in ways:
        values |= {f"{name}_{each}": value for each, value in _probe(data, settings).items()}
    return values


def _probe(data: Path, settings: Mapping[str, str]) -> Values:
    """Ask for an upload while the server sweeps, as often as it is let to."""
    with Server(data, {**_PLAIN, **settings}) as server:
        time.sleep(1.5)  # until it has begun
        spent = cpu_s(server.pid)
        with Probe(server.address, _path(0), _OBSERVED_S) as probe:
            found = probe.report()
        spent = cpu_s(server.pid) - spent
        resident = server.memory() / 2**20
    return {**found, "cpu_percent": 100 * spent / _OBSERVED_S, "rss_mib": resident}


def run_command(
    command: str, data: Path, settings: Mapping[str, str]
) -> tuple[float, float, float]:
    """Run a command of ours; return seconds, CPU seconds and the peak of memory in MiB."""
    env = {"PATH": os.defpath, "FILELOFT_DATA_DIR": str(data), "FILELOFT_SYNC": "none", **settings}
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "fileloft_fast", command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _time(work: Callable[[], None]) -> list[float]:
    found = []
    for _ in range(_REQUESTS):
        began = time.monotonic()
        work()
        found.append(time.monotonic() - began)
    return found


def _path(number: int) -> str:
    return f"/files/{upload_id(number)}"


def _check_there(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"HEAD: {status}")
