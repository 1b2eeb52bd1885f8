"""What the status page costs the server while it is looked at.

    python -m benchmarks.listeners --dir build/bench [--uploads 100] [--rounds 3]

CPU time of the server, by how many listen to the events of the status page, each in turn beside
the same running uploads.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers import say
from tests.endpoint import Endpoint
from tests.pages.listening import KEY, Listener, listening
from tests.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.wire import Wire

_LISTENERS: Final = (0, 1, 16)
_LOOK_S: Final = 10.0
_PIECE: Final = bytes(1024)


def main() -> None:
    """Print how much of a core the server takes for so many listeners."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="listeners-", dir=asked.dir))
    over = threading.Event()
    settings = {"FILELOFT_STATUS_KEY": KEY}
    with Server(data, settings) as server, ExitStack() as stack:
        wires = _uploads(Endpoint(server), asked.uploads, stack)
        trickling = threading.Thread(target=_trickle, args=(wires, over))
        trickling.start()
        shares: dict[int, list[float]] = {number: [] for number in _LISTENERS}
        for _ in range(asked.rounds):
            for number, found in shares.items():
                found.append(_share(server, number))
        over.set()
        trickling.join()
    for number, found in shares.items():
        spread = f"{100 * min(found):.2f} to {100 * max(found):.2f}"
        median = 100 * statistics.median(found)
        say(f"{asked.uploads} uploads, {number:2} listeners: {median:.2f} % of a core ({spread})")


def _uploads(tus: Endpoint, number: int, stack: ExitStack) -> list[Wire]:
    wires = []
    for _ in range(number):
        upload = tus.create(1 << 30)
        wire = stack.enter_context(tus.connect())
        wire.send(tus.render_append(upload, 0, b"", {"Content-Length": str(1 << 30)}))
        wires.append(wire)
    return wires


def _trickle(wires: Sequence[Wire], over: threading.Event) -> None:
    """Let every upload go on four times a second."""
    while not over.wait(0.25):
        for wire in wires:
            wire.send(_PIECE)


def _share(server: Server, listeners: int) -> float:
    """Return how much of a core the server takes while so many listen."""
    with ExitStack() as stack:
        heard = [stack.enter_context(listening(server.address)) for _ in range(listeners)]
        for listener in heard:
            listener.snapshot()
        readers = [threading.Thread(target=_read, args=(listener, _LOOK_S)) for listener in heard]
        for reader in readers:
            reader.start()
        before, begun = _cpu_s(server.pid), time.monotonic()
        time.sleep(_LOOK_S)
        share = (_cpu_s(server.pid) - before) / (time.monotonic() - begun)
        for reader in readers:
            reader.join()
    return share


def _read(listener: Listener, seconds: float) -> None:
    end = time.monotonic() + seconds + 1.0
    while time.monotonic() < end:
        listener.snapshot()


def _cpu_s(pid: int) -> float:
    """Return what all threads of *pid* have spent, to the nanosecond where ``stat`` has ticks."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    spent = [
        int(Path(each, "schedstat").read_text(encoding="ascii").split()[0]) for each in threads
    ]
    return sum(spent) / 1e9


if __name__ == "__main__":
    main()
