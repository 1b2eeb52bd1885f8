"""Every "accepted when" figure of the object stores, on SeaweedFS, the fake of GCS and Azurite.

    python -m benchmarks.object_stores --dir build/bench [--only answer,eight,cost,clients]

``cost`` wants ``aws`` (pip install awscli, in an environment of its own) on PATH or by --aws. Each
row says what is wanted; nothing is told twice. Wants 20 GB of disk and a quiet machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from benchmarks.peers import Meter, Peer, say
from tests.clients.commands import tus_js_client, tuspy
from tests.clients.conftest import Sample
from tests.proxy import Break, End, Proxy
from tests.server import Server
from tests.stores.clouds import CLOUDS, Cloud
from tests.wire import OCTETS, Wire, render_request

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
PART_BYTES: Final = 16 * MIB
_ANSWER_S: Final = 600.0


@dataclass(slots=True)
class Run:
    """One run: its folder, its file, and what was not as it should be."""

    folder: Path
    source: Path
    aws: str
    missed: list[str] = field(default_factory=list)

    def fresh(self, name: str) -> Path:
        """Make a new directory."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def tell(self, work: str, figure: str, wanted: str, *, good: bool) -> None:
        """Print a row, and remember it where it is not good."""
        line = f"{'ok  ' if good else 'MISS'} {work}: {figure} (wanted: {wanted})"
        say(line)
        if not good:
            self.missed.append(line)


class Watch:
    """The most disk that a spool takes, looked at again and again while something runs."""

    def __init__(self, spool: Path) -> None:
        self.peak_bytes = 0
        self._spool = spool
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.05):
            taken = 0
            with os.scandir(self._spool) as entries:
                for entry in entries:
                    try:
                        taken += entry.stat().st_blocks * 512
                    except FileNotFoundError:
                        continue  # shipped meanwhile
            self.peak_bytes = max(self.peak_bytes, taken)


@dataclass(frozen=True, slots=True)
class Sent:
    """One upload: where it is, and the times of its one PATCH in seconds."""

    path: str
    sending_s: float
    answer_s: float


def upload(address: tuple[str, int], source: Path, size: int) -> Sent:
    """Create an upload and send the first *size* bytes of *source* in one PATCH."""
    with Wire(address, timeout_s=_ANSWER_S) as wire:
        created = wire.ask(render_request("POST", "/files/", {"Upload-Length": str(size)}))
        if created.status != 201:
            raise RuntimeError(f"POST: {created}")
        path = "/" + created["Location"].split("/", 3)[3]
        fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(size)}
        began = time.monotonic()
        wire.send(render_request("PATCH", path, fields))
        _send_file(wire.socket, source, size)
        sent = time.monotonic()
        answer = wire.read()
        done = time.monotonic()
    if answer.status != 204:
        raise RuntimeError(f"PATCH: {answer}")
    return Sent(path, sent - began, done - sent)


def _send_file(to: socket.socket, source: Path, size: int) -> None:
    with source.open("rb") as file:
        to.sendfile(file, 0, size)


def answer(run: Run, cloud: Cloud) -> None:
    """Compare the time from the last byte to the answer for 100 MiB and for 1 GiB."""
    waits: dict[int, list[float]] = {100 * MIB: [], GIB: []}
    with Server(run.fresh("answer"), cloud.settings) as server:
        upload(server.address, run.source, 100 * MIB)  # the first one warms up
        for _ in range(5):
            for size, seen in waits.items():
                seen.append(upload(server.address, run.source, size).answer_s)
    short, long = (statistics.median(seen) for seen in waits.values())
    run.tell(
        "last byte to answer, 1 GiB / 100 MiB",
        f"{long * 1000:.0f} ms / {short * 1000:.0f} ms = {long / short:.2f}",
        "<= 2",
        good=long <= 2 * short,
    )


def eight(run: Run, cloud: Cloud) -> None:
    """Eight uploads of 1 GiB at once: the spool, the memory, and every byte."""
    spool = run.fresh("eight")
    sent: list[Sent] = []
    with Server(spool, cloud.settings) as server:
        with Watch(spool) as watch:
            threads = [
                threading.Thread(
                    target=lambda: sent.append(upload(server.address, run.source, GIB))
                )
                for _ in range(8)
            ]
            began = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            spent = time.monotonic() - began
        peak = server.memory("VmHWM")
        wanted = _digest(run.source, GIB)
        right = [cloud.sha256(each.path) == wanted for each in sent]
    run.tell("8 x 1 GiB, contents", f"{sum(right)} right", "8", good=right.count(True) == 8)
    run.tell(
        "8 x 1 GiB, most spool",
        f"{watch.peak_bytes / MIB:.0f} MiB = {watch.peak_bytes / PART_BYTES / 8:.2f} parts each",
        "< 4 parts each",
        good=watch.peak_bytes < 4 * 8 * PART_BYTES,
    )
    run.tell("8 x 1 GiB, peak RSS", f"{peak / MIB:.0f} MiB", "<= 96 MiB", good=peak <= 96 * MIB)
    say(f"     8 x 1 GiB took {spent:.1f} s, {8 * GIB / spent / 1e9:.2f} GB/s")


def cost(run: Run, cloud: Cloud) -> None:
    """CPU s/GB of a 1 GiB upload: on local disk, through the spool to S3, and by ``aws s3 cp``."""
    figures: dict[str, list[float]] = {"fs": [], "s3": [], "aws": []}
    settings = {"fs": {"FILELOFT_SYNC": "none"}, "s3": dict(cloud.settings)}
    for turn in range(4):
        for name, environment in settings.items():
            data = run.fresh("cost")
            with Server(data, environment) as server:
                upload(server.address, run.source, MIB)
                with Meter(Peer(server.address, server.pid)) as meter:
                    upload(server.address, run.source, GIB)
                if turn:
                    figures[name].append(meter.cpu_s / GIB * 1e9)
            shutil.rmtree(data)
        spent = _aws(run.aws, run.source, cloud)
        if turn:
            figures["aws"].append(spent / GIB * 1e9)
    fs, s3, aws = (statistics.median(seen) for seen in figures.values())
    run.tell(
        "CPU s/GB",
        f"flusher {s3 - fs:.2f} (server {s3:.2f}, on local disk {fs:.2f}); aws s3 cp {aws:.2f}",
        "told",
        good=True,
    )


def _aws(program: str, file: Path, cloud: Cloud) -> float:
    """Run ``aws s3 cp`` and return the CPU time it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PATH": os.defpath, "AWS_DEFAULT_REGION": "us-east-1", **cloud.settings}
    bucket, endpoint = cloud.settings["FILELOFT_S3_BUCKET"], cloud.settings["FILELOFT_S3_ENDPOINT"]
    words = [program, "--endpoint-url", endpoint, "s3", "cp", "--quiet", str(file)]
    subprocess.run([*words, f"s3://{bucket}/by-aws"], env=environment, check=True)  # noqa: S603
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def clients(run: Run, cloud: Cloud) -> None:
    """Upload with real clients, each interrupted three times: 1 GiB to S3, 200 MiB elsewhere."""
    _upload_by_clients(run, "s3", cloud, GIB)
    for name in ("gcs", "azure"):
        with CLOUDS[name](run.fresh(name)) as other:
            _upload_by_clients(run, name, other, 200 * MIB)


def _upload_by_clients(run: Run, name: str, cloud: Cloud, size: int) -> None:
    file = run.folder / f"{size}.bin"
    if not file.exists():
        with run.source.open("rb") as whole, file.open("wb") as part:
            part.write(whole.read(size))
    sample = Sample(file, _digest(file, size))
    ends = (End.RESET, End.CLOSE, End.RESET)
    with Server(run.fresh(f"{name}-spool"), cloud.settings) as server:
        for client, words in (("tuspy", tuspy()), ("tus-js-client", tus_js_client())):
            breaks = [Break(at=size * (at + 1) // 4, end=end) for at, end in enumerate(ends)]
            with Proxy(server.address, breaks=breaks) as proxy:
                host, port = proxy.address
                command = words(f"http://{host}:{port}/files/", sample, run.fresh("kept") / "urls")
                ended = subprocess.run(  # noqa: S603
                    command, capture_output=True, text=True, check=False
                )
                good = (
                    ended.returncode == 0
                    and not proxy.breaks
                    and cloud.sha256(ended.stdout.strip()) == sample.sha256
                )
                extra = proxy.passed_up - size
            run.tell(
                f"{client}, {size // MIB} MiB to {name}",
                f"{'equal' if good else ended.stderr[-300:]}, {extra / MIB:.1f} MiB sent twice",
                "interrupted three times, SHA-256 equal",
                good=good,
            )


def _digest(source: Path, size: int) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as file:
        left = size
        while left:
            data = file.read(min(MIB, left))
            digest.update(data)
            left -= len(data)
    return digest.hexdigest()


WORKS: Final[dict[str, Callable[[Run, Cloud], None]]] = {
    "answer": answer,
    "eight": eight,
    "cost": cost,
    "clients": clients,
}


def main() -> int:
    """Run what was asked for and return the exit status: 1 where a figure is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--only", default=",".join(WORKS))
    parser.add_argument("--aws", default=shutil.which("aws") or "aws")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="stores-", dir=asked.dir)).resolve()
    source = folder / "source.bin"
    with source.open("wb") as file:
        for _ in range(GIB // (4 * MIB)):
            file.write(os.urandom(4 * MIB))
    run = Run(folder, source, asked.aws)
    with ExitStack() as stack:
        cloud = stack.enter_context(CLOUDS["s3"](run.fresh("seaweedfs")))
        for name in asked.only.split(","):
            WORKS[name](run, cloud)
    shutil.rmtree(folder)
    say(f"{len(run.missed)} missed")
    return 1 if run.missed else 0


if __name__ == "__main__":
    sys.exit(main())
