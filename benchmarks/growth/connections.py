"""1 to 10,000 connections: kept open, and each in the middle of an upload that trickles."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.capacity import open_idle, open_upload
from benchmarks.growth.probe import Probe
from benchmarks.peers import raise_descriptor_limit
from fileloft_fast.bench.process import cpu_s
from tests.endpoint import Endpoint
from tests.server import Server, workers_of

if TYPE_CHECKING:
    from benchmarks.growth.results import Values
    from tests.wire import Wire

SIZES: Final = (1, 10, 100, 1000, 10_000)
QUICK: Final = SIZES[:4]

_OBSERVED_S: Final = 5.0
_SEGMENT: Final = b"x" * 256
_PER_S: Final = 2  # segments of each connection
_SLOTS: Final = 100  # of a second: all at once would measure the client's burst

# Two workers: a connection that uploads has three descriptors, and 20,000 for a process, as many
# machines allow, are not enough for 10,000 of them.
_SETTINGS: Final = {
    "FILELOFT_SYNC": "none",
    "FILELOFT_WORKERS": "2",
    "FILELOFT_MAX_CONNECTIONS": "20000",
}


def measure_idle(folder: Path, number: int) -> Values:
    """Keep *number* connections open that have had an answer."""
    return _measure(folder / f"idle-{number}", number, trickling=False)


def measure_trickling(folder: Path, number: int) -> Values:
    """Let *number* uploads trickle."""
    return _measure(folder / f"trickling-{number}", number, trickling=True)


def _measure(data: Path, number: int, *, trickling: bool) -> Values:
    raise_descriptor_limit()
    begin = open_upload if trickling else open_idle
    with Server(data, _SETTINGS) as server, ExitStack() as opened:
        tus = Endpoint(server)
        asked = tus.create(100)
        for _ in range(20):
            with begin(tus):
                pass
        pids = workers_of(server.pid)
        before = memory(pids)
        wires = [opened.enter_context(begin(tus)) for _ in range(number)]
        spent, began = _cpu_s(pids), time.monotonic()
        with Probe(server.address, asked, _OBSERVED_S) as probe:
            while probe.running:
                _spend_a_second(wires if trickling else (), probe)
            found = probe.report()
        spent, seconds = _cpu_s(pids) - spent, time.monotonic() - began
        after = memory(pids)
    return {
        "memory_mib": after / 2**20,
        "kib_each": (after - before) / number / 1024,
        "cpu_percent": 100 * spent / seconds,
        **found,
    }


def _spend_a_second(wires: list[Wire] | tuple[()], probe: Probe) -> None:
    """Send what is due of each of *wires* in a second, spread over it."""
    began = time.monotonic()
    for slot in range(_SLOTS):
        if not probe.running:
            return
        for wire in wires[slot % (_SLOTS // _PER_S) :: _SLOTS // _PER_S]:
            wire.socket.send(_SEGMENT)
        time.sleep(max(0.0, began + (slot + 1) / _SLOTS - time.monotonic()))


def memory(pids: list[int]) -> int:
    """Return the memory of processes in bytes; what they share counts once (PSS)."""
    found = 0
    for pid in pids:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        matched = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
        if matched is None:
            raise RuntimeError("no Pss: not a Linux process")
        found += int(matched[1]) * 1024
    return found


def _cpu_s(pids: list[int]) -> float:
    return sum(map(cpu_s, pids))
