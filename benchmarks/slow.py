"""Slow clients: one that stalls while HEAD asks, and a thousand that trickle beside a large one."""

from __future__ import annotations

import fcntl
import random
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.peers import Peer, load
from tests.wire import OCTETS, Answer, Wire, render_request

if TYPE_CHECKING:
    from pathlib import Path

_PIECE_BYTES: Final = 1024
_SWEEP_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class HeadTries:
    """How HEAD answered while another connection held the upload."""

    slowest_s: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Trickle:
    """What a thousand slow uploads beside a large one came to."""

    connections: int
    peak_bytes: int
    cpu_s: float
    seconds: float
    wrong: int


def try_heads(peer: Peer, tries: int) -> HeadTries:
    """Hold *tries* uploads, each stalled at another byte, and ask each for its offset once."""
    slowest, exact = 0.0, True
    for number in range(tries):
        held = 1_000_000 + 77_777 * number
        upload = _create(peer, 64_000_000)
        with Wire(peer.address) as holder, Wire(peer.address) as asker:
            holder.send(_append_head(upload, 64_000_000))
            holder.send(bytes(held))
            _wait_until_taken(holder)
            start = time.monotonic()
            answer = asker.ask(render_request("HEAD", upload))
            slowest = max(slowest, time.monotonic() - start)
            exact = exact and answer["Upload-Offset"] == str(held)
    return HeadTries(slowest, exact)


def trickle(peer: Peer, data: Path, source: Path, large_bytes: int, connections: int) -> Trickle:
    """Run *connections* slow uploads beside one PATCH of *large_bytes*, and check every byte."""
    pieces = 24
    size = pieces * _PIECE_BYTES
    block = random.Random(0).randbytes(size + connections)  # noqa: S311 - data, not a secret
    uploads = [_create(peer, size) for _ in range(connections)]
    wires = [Wire(peer.address, timeout_s=60) for _ in uploads]
    start, cpu_s = time.monotonic(), peer.cpu_s()
    for wire, upload in zip(wires, uploads, strict=True):
        wire.send(_append_head(upload, size))
    large = threading.Thread(target=load, args=("patch", peer, "/files/", source, large_bytes))
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


def _wait_until_taken(wire: Wire) -> None:
    """Wait until the peer's kernel has acknowledged everything: the stall begins then."""
    siocoutq = 0x5411
    while struct.unpack("i", fcntl.ioctl(wire.socket, siocoutq, bytes(4)))[0]:
        time.sleep(0.001)
