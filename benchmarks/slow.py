"""A thousand uploads that trickle beside a large one, and every byte of them checked.

    python -m benchmarks.slow --dir build/bench [--connections 1000]

The exit status is 1 where a byte is wrong or lost, or the server takes too much memory. What slow
uploads cost without a large one beside them is a work of the load tool.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers import ours, raise_descriptor_limit, say
from fileloft_fast.bench.measure import measure
from fileloft_fast.bench.sizes import GIB, MIB, Sizes
from fileloft_fast.bench.target import discover
from fileloft_fast.bench.works import WORKS
from tests.wire import OCTETS, Answer, Wire, render_request

if TYPE_CHECKING:
    from benchmarks.peers import Peer

_PIECE_BYTES: Final = 1024
_SWEEP_S: Final = 0.5
_MOST_BYTES: Final = 160 * MIB


@dataclass(frozen=True, slots=True)
class Trickle:
    """What a thousand slow uploads beside a large one came to."""

    connections: int
    peak_bytes: int
    cpu_s: float
    seconds: float
    wrong: int


def main() -> int:
    """Let uploads trickle, print what they came to, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    asked = parser.parse_args()
    raise_descriptor_limit()
    asked.dir.mkdir(parents=True, exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="slow-", dir=asked.dir)).resolve()
    with ours(data, {}) as peer:
        seen = trickle(peer, data, GIB, asked.connections)
    say(
        f"{seen.connections} uploads beside 1 GiB: {seen.wrong} wrong or lost, peak RSS"
        f" {seen.peak_bytes / MIB:.0f} MiB, {seen.cpu_s:.1f} CPU s in {seen.seconds:.0f} s"
    )
    return 1 if seen.wrong or seen.peak_bytes > _MOST_BYTES else 0


def trickle(peer: Peer, data: Path, large_bytes: int, connections: int) -> Trickle:
    """Run *connections* slow uploads beside one PATCH of *large_bytes*, and check every byte."""
    pieces = 24
    size = pieces * _PIECE_BYTES
    block = random.Random(0).randbytes(size + connections)  # noqa: S311 - data, not a secret
    uploads = [_create(peer, size) for _ in range(connections)]
    wires = [Wire(peer.address, timeout_s=60) for _ in uploads]
    start, cpu_s = time.monotonic(), peer.cpu_s()
    for wire, upload in zip(wires, uploads, strict=True):
        wire.send(_append_head(upload, size))
    words = (WORKS["large"], discover(peer.url), Sizes(size_bytes=large_bytes))
    large = threading.Thread(target=measure, args=words)
    for piece in range(pieces):
        if piece == pieces // 4:
            large.start()
        for number, wire in enumerate(wires):
            at = number + piece * _PIECE_BYTES
            wire.send(block[at : at + _PIECE_BYTES])
        time.sleep(_SWEEP_S)
    statuses = [wire.read().status for wire in wires]
    large.join()
    seconds, cpu_s = time.monotonic() - start, peer.cpu_s() - cpu_s
    for wire in wires:
        wire.socket.close()
    wrong = sum(
        status != 204 or (data / _id(upload)).read_bytes() != block[number : number + size]
        for number, (upload, status) in enumerate(zip(uploads, statuses, strict=True))
    )
    return Trickle(connections, peer.peak_bytes(), cpu_s, seconds, wrong)


def _create(peer: Peer, length: int) -> str:
    with Wire(peer.address) as wire:
        answer: Answer = wire.ask(render_request("POST", "/files/", {"Upload-Length": str(length)}))
    if answer.status != 201:
        raise RuntimeError(f"not created: {answer}")
    return "/files/" + _id(answer["Location"])


def _id(location: str) -> str:
    return location.rpartition("/")[2]


def _append_head(upload: str, size: int) -> bytes:
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": str(size)}
    return render_request("PATCH", upload, fields)


if __name__ == "__main__":
    sys.exit(main())
