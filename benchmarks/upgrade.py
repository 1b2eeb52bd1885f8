"""Upgrade a server under load, again and again, and count the requests that fail: none may.

    python -m benchmarks.upgrade --upgrades 5 --workers 4 --dir build/bench

Small uploads at a rate, over connections that are kept open, and bodies that take seconds; clients
that never try again. The server is upgraded by SIGUSR2 while they work. Needs the tests beside it.
Prints a line an upgrade and a verdict; the exit status is 1 where a request has failed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.workers.load import Load
from tests.workers.upgradable import Upgradable


def main() -> int:
    """Run the load and the upgrades and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upgrades", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0, help="small uploads a second")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--stream-mib", type=int, default=16)
    parser.add_argument("--stream-s", type=float, default=4.0, help="what one body takes")
    parser.add_argument("--between-s", type=float, default=3.0, help="between two upgrades")
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    data = Path(tempfile.mkdtemp(prefix="upgrade-", dir=asked.dir)).resolve()
    settings = {"FILELOFT_WORKERS": str(asked.workers), "FILELOFT_SHUTDOWN_TIMEOUT": "20"}
    with Upgradable(data, settings) as server:
        load = Load(
            Endpoint(server),
            rate=asked.rate,
            streams=asked.streams,
            stream_bytes=asked.stream_mib * 1024 * 1024,
            stream_s=asked.stream_s,
        )
        began = time.monotonic()
        try:
            for number in range(asked.upgrades):
                enough = load.small + int(asked.rate * asked.between_s * 0.8)
                eventually(lambda: load.small >= enough, within_s=60)  # noqa: B023 - called at once
                started = time.monotonic()
                code = server.upgrade()
                took_s = time.monotonic() - started
                _say(f"upgrade {number + 1}: {took_s:.1f} s until the old one ended with {code}")
        finally:
            load.stop()
        spent_s = time.monotonic() - began
    faults = len(load.faults)
    for fault in load.faults:
        _say(f"    {fault}")
    _say(
        f"verdict: {'FAIL' if faults else 'PASS'}: {load.small} small uploads"
        f" ({load.small / spent_s:.0f} a second, slowest {load.slowest_s * 1000:.0f} ms) and"
        f" {load.streamed} streams through {asked.upgrades} upgrades, {faults} failed"
    )
    return 1 if faults else 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
