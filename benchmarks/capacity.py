"""What connections, uploads and bytes cost a server: ``python -m benchmarks.capacity``."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.process import cpu_s
from fileloft_fast.dataplane import Digest
from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import OCTETS, Wire, render_request

if TYPE_CHECKING:
    from collections.abc import Callable

PIECE: Final = os.urandom(2**20)
SENT: Final = 2**30
CHECKSUMS: Final = ("crc32c", "xxh3-64", "sha1", "sha256", "sha512")
WHOLES: Final = ("sha256", "sha512")

# What an Upload-Checksum is of, and what the whole upload is hashed in
WAYS: Final = (
    ("", "off"),
    *((algorithm, "off") for algorithm in CHECKSUMS),
    *(("", algorithm) for algorithm in WHOLES),
    *(("sha256", algorithm) for algorithm in WHOLES),
)


def main() -> None:
    """Open connections, let as many uploads trickle, send bytes; print what each costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1, help="of the bytes, in turns")
    arguments = parser.parse_args()
    number: int = arguments.number
    rounds: int = arguments.rounds
    with tempfile.TemporaryDirectory() as folder:
        report("idle connection", number, Path(folder, "idle"), open_idle)
        report("upload that trickles", number, Path(folder, "uploads"), open_upload)
        report_bytes(rounds, Path(folder, "bytes"))


def report(what: str, number: int, data: Path, begin: Callable[[Endpoint], Wire]) -> None:
    """Print what *number* of what *begin* begins cost a server of its own."""
    with Server(data, {"FILELOFT_SYNC": "none"}) as server, ExitStack() as open_wires:
        tus = Endpoint(server)
        with begin(tus):
            pass
        memory, files = server.memory(), len(server.open_files())
        for _ in range(number):
            open_wires.enter_context(begin(tus))
        tus.ask("OPTIONS", "/files/")
        memory, files = server.memory() - memory, len(server.open_files()) - files
        sys.stdout.write(
            f"{number} x {what}: {memory / number / 1024:.1f} KiB,"
            f" {files / number:.2f} descriptors each; {server.memory() / 2**20:.0f} MiB in all\n"
        )


def report_bytes(rounds: int, data: Path) -> None:
    """Print the CPU time of the server for each way to hash SENT bytes, the median of *rounds*."""
    digests = {"": b"", **{algorithm: digest_of_what_is_sent(algorithm) for algorithm in CHECKSUMS}}
    spent: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for checksum, whole in WAYS:
            spent[checksum, whole].append(measure(checksum, digests[checksum], whole, data))
    plain = spent[WAYS[0]]
    for (checksum, whole), figures in spent.items():
        ratio = statistics.median(took / least for took, least in zip(figures, plain, strict=True))
        sys.stdout.write(
            f"Upload-Checksum {checksum or 'none'}, FILELOFT_DIGEST={whole}:"
            f" {statistics.median(figures):.2f} CPU s/GB, {ratio:.2f} of plain\n"
        )


def digest_of_what_is_sent(algorithm: str) -> bytes:
    """Return the checksum of SENT bytes."""
    digest = Digest(algorithm)
    for _ in range(SENT // len(PIECE)):
        digest.update(PIECE)
    return digest.digest()


def measure(checksum: str, digest: bytes, whole: str, data: Path) -> float:
    """Return the seconds of CPU that a GB of one PATCH of SENT bytes costs the server."""
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(SENT)}
    if checksum:
        fields["Upload-Checksum"] = f"{checksum} {b64encode(digest).decode()}"
    with Server(data, {"FILELOFT_SYNC": "none", "FILELOFT_DIGEST": whole}) as server:
        tus = Endpoint(server)
        upload = tus.create(SENT)
        before = cpu_s(server.pid)
        with tus.connect(60.0) as wire:
            wire.send(render_request("PATCH", upload, fields))
            for _ in range(SENT // len(PIECE)):
                wire.send(PIECE)
            assert wire.read().status == 204
        spent = cpu_s(server.pid) - before
    (data / upload.rsplit("/", 1)[1]).unlink()
    return spent / SENT * 1e9


def open_idle(tus: Endpoint) -> Wire:
    """Return a connection that has had an answer and is kept."""
    wire = tus.connect()
    wire.ask(render_request("OPTIONS", "/files/"))
    return wire


def open_upload(tus: Endpoint) -> Wire:
    """Return a connection in the middle of a PATCH."""
    upload = tus.create(10**9)
    wire = tus.connect()
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(10**9)}
    wire.send(render_request("PATCH", upload, fields) + b"x" * 100)
    return wire


if __name__ == "__main__":
    main()
