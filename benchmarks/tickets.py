"""What a ticket costs: 1 GiB by a PUT, by a form and by both in chunks, beside one PATCH of tus.

    python -m benchmarks.tickets --dir build/bench [--rounds 5] [--sync complete]

The server's CPU time, user and system; they take turns, each on a server of its own, and a ratio is
the median of the rounds' ratios: the machine is shared, so the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.peers import Meter, Peer, ours, say
from fileloft_fast.storages.ticket import Ticket, sign_ticket
from tests.wire import OCTETS, Wire, render_request

GIB: Final = 1024**3
PIECE: Final = 4 * 1024 * 1024
KEY: Final = "a key that only benchmarks have: 32 bytes"
STORAGES: Final = {"FILELOFT_STORAGES": "bench", "FILELOFT_STORAGE_KEYS": KEY}
NAMES: Final = ("PATCH", "PUT", "form", "PUT, chunked", "form, chunked")
# As Dart's http package draws it, and as long.
BOUNDARY: Final = b"dart-http-boundary-" + b"+_-.019AZaz" * 4 + b"Nb8qKp7"
BEFORE: Final = (
    b"--%b\r\ncontent-type: application/octet-stream\r\n"
    b'content-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' % BOUNDARY
)
AFTER: Final = b"\r\n--%b--\r\n" % BOUNDARY


def target() -> str:
    """Return the URL of a ticket."""
    ticket = Ticket(
        kind="put",
        storage="bench",
        path="bench/object",
        expires_at=int(time.time()) + 600,
        max_size=GIB,
    )
    return f"/bench/bench/object?ticket={sign_ticket(KEY, ticket)}"


def head_of(name: str, wire: Wire, length: int) -> bytes:
    """Return the head of the request that brings *length* bytes in all."""
    if name == "PATCH":
        made = wire.ask(render_request("POST", "/files/", {"Upload-Length": str(length)}))
        path = "/files/" + made["Location"].rpartition("/")[2]
        fields: dict[str, str | None] = {"Upload-Offset": "0", "Content-Type": OCTETS}
        return render_request("PATCH", path, fields | framing(name, length))
    fields = {"Tus-Resumable": None}
    if name.startswith("form"):
        fields["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    method = "POST" if name.startswith("form") else "PUT"
    return render_request(method, target(), fields | framing(name, length))


def framing(name: str, length: int) -> dict[str, str | None]:
    """Return how the end of the body is told."""
    if name.endswith("chunked"):
        return {"Transfer-Encoding": "chunked"}
    return {"Content-Length": str(length)}


def send(name: str, peer: Peer, piece: bytes) -> None:
    """Send 1 GiB and wait until it is answered."""
    before, after = (BEFORE, AFTER) if name.startswith("form") else (b"", b"")
    with Wire(peer.address, 120.0) as wire:
        wire.send(head_of(name, wire, len(before) + GIB + len(after)))
        pieces = [before, *[piece] * (GIB // PIECE), after]
        for each in filter(None, pieces):
            if name.endswith("chunked"):
                wire.send(b"%X\r\n" % len(each))
                wire.send(each)
                wire.send(b"\r\n")
            else:
                wire.send(each)
        if name.endswith("chunked"):
            wire.send(b"0\r\n\r\n")
        answer = wire.read()
        if answer.status != 204:
            raise RuntimeError(f"{name}: {answer}")


def main() -> int:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sync", default="none", help="FILELOFT_SYNC")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tickets-", dir=asked.dir)).resolve()
    costs: dict[str, list[float]] = {name: [] for name in NAMES}
    peaks = dict.fromkeys(NAMES, 0)
    piece = os.urandom(PIECE)
    for turn in range(asked.rounds + 1):  # the first warms up and does not count
        for name in NAMES if turn % 2 else NAMES[::-1]:
            own = Path(tempfile.mkdtemp(dir=folder))
            with ours(own / "data", STORAGES | {"FILELOFT_SYNC": asked.sync}) as peer:
                with Meter(peer) as meter:
                    send(name, peer, piece)
                peaks[name] = max(peaks[name], peer.peak_bytes())
            shutil.rmtree(own)  # one large file: not a mass
            if turn:
                costs[name].append(meter.cpu_s / GIB * 1e9)
    shutil.rmtree(folder)
    for name in NAMES:
        pairs = zip(costs[name], costs[NAMES[0]], strict=True)
        ratio = statistics.median(mine / patch for mine, patch in pairs)
        say(
            f"{name:14} server CPU {statistics.median(costs[name]):5.3f} s/GB,"
            f" {ratio:5.2f} x PATCH; peak {peaks[name] / 2**20:4.0f} MiB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
