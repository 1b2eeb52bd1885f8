"""What TLS costs: 1 GiB in one PATCH over TLS and plain, and in one PUT to nginx over TLS.

    python -m benchmarks.tls --dir build/bench [--rounds 5]

One client for all, in this process: Python's ssl, which encrypts without the GIL. The three take
turns, nothing is synced, and a ratio is the median of the rounds' ratios: the machine is shared, so
the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import mmap
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers import Meter, Peer, nginx, ours, say
from tests.certificates import Authority, Pair
from tests.wire import OCTETS, Wire, render_request

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

GIB: Final = 1024**3
PIECE: Final = 4 * 1024 * 1024
UNSYNCED: Final = {"FILELOFT_SYNC": "none"}
NAMES: Final = ("ours, TLS", "nginx, TLS", "ours, plain")


@contextmanager
def served(name: str, folder: Path, pair: Pair) -> Iterator[Peer]:
    """Run one of the three."""
    if name == "nginx, TLS":
        (folder / "files").mkdir()
        with nginx(folder / "files", folder, pair) as peer:
            yield peer
    else:
        tls = pair.settings() if name == "ours, TLS" else {}
        with ours(folder / "data", UNSYNCED | tls) as peer:
            yield peer


def send(name: str, peer: Peer, tls: ssl.SSLContext, content: memoryview) -> float:
    """Send *content* and return how many seconds it took until it was answered."""
    with Wire(peer.address, 60.0, None if name == "ours, plain" else tls) as wire:
        if name == "nginx, TLS":
            head = render_request("PUT", "/file", {"Content-Length": str(len(content))})
        else:
            made = wire.ask(render_request("POST", "/files/", {"Upload-Length": str(len(content))}))
            head = render_request(
                "PATCH",
                "/files/" + made["Location"].rpartition("/")[2],
                {
                    "Upload-Offset": "0",
                    "Content-Type": OCTETS,
                    "Content-Length": str(len(content)),
                },
            )
        began = time.monotonic()
        wire.send(head)
        for at in range(0, len(content), PIECE):
            wire.socket.sendall(content[at : at + PIECE])
        status = wire.read().status
        if status not in {201, 204}:
            raise RuntimeError(f"{name} answered {status}")
        return time.monotonic() - began


def main() -> int:
    """Measure, and print the medians."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tls-", dir=asked.dir)).resolve()
    authority = Authority(folder)
    pair, tls = authority.issue(), authority.client()
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    costs: dict[str, list[float]] = {name: [] for name in NAMES}
    with ExitStack() as stack:
        content = stack.enter_context(mmap.mmap(-1, GIB))
        for at in range(0, GIB, PIECE):
            content[at : at + PIECE] = b"\xa5" * PIECE
        whole = stack.enter_context(memoryview(content))
        for turn in range(asked.rounds + 1):  # the first warms up and does not count
            for name in NAMES if turn % 2 else NAMES[::-1]:
                own = Path(tempfile.mkdtemp(dir=folder))
                with served(name, own, pair) as peer, Meter(peer) as meter:
                    seconds = send(name, peer, tls, whole)
                shutil.rmtree(own)  # one large file: not a mass
                if turn:
                    rates[name].append(GIB / 1e9 / seconds)
                    costs[name].append(meter.cpu_s / GIB * 1e9)
    shutil.rmtree(folder)
    for name in NAMES:
        rate, cost = statistics.median(rates[name]), statistics.median(costs[name])
        say(
            f"{name:12} {rate:5.2f} GB/s, {_ratio(rates, name):5.2f} x ours over TLS;"
            f" server CPU {cost:5.3f} s/GB, {_ratio(costs, name):5.2f} x"
        )
    return 0


def _ratio(figures: dict[str, list[float]], name: str) -> float:
    """Return the median of the rounds' ratios to ours over TLS."""
    pairs = zip(figures[name], figures[NAMES[0]], strict=True)
    return statistics.median(theirs / mine for theirs, mine in pairs)


if __name__ == "__main__":
    sys.exit(main())
