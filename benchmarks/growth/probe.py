"""HEADs at a fixed rate, in a process of its own: ``python -m benchmarks.growth.probe``.

A latency counts from when its request was due, so that a server that stalls cannot hide it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, Self

from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from collections.abc import Sequence

_RATE: Final = 200.0


class Probe:
    """Asks the server at *address* for *upload* for so many *seconds*, beside whatever else."""

    def __init__(self, address: tuple[str, int], upload: str, seconds: float) -> None:
        host, port = address
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", __name__, host, str(port), upload, str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self._process.kill()
            self._process.communicate()

    @property
    def running(self) -> bool:
        """Whether it asks yet."""
        return self._process.poll() is None

    def report(self) -> dict[str, float]:
        """Wait for its end; return the latencies."""
        said, _ = self._process.communicate()
        found: dict[str, float] = json.loads(said)
        return found


def latencies(name: str, found: Sequence[float]) -> dict[str, float]:
    """Return the median, the 99th percentile and the largest of *found*, in milliseconds."""
    ordered = sorted(found)

    def at(share: float) -> float:
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {f"{name}_p50_ms": at(0.5), f"{name}_p99_ms": at(0.99), f"{name}_max_ms": at(1.0)}


def main() -> None:
    """Ask, and print one line of JSON."""
    host, port, upload, seconds = sys.argv[1:]
    request = render_request("HEAD", upload)
    found = []
    with Wire((host, int(port)), 60.0) as wire:
        began = time.monotonic()
        for number in range(int(float(seconds) * _RATE)):
            due = began + number / _RATE
            time.sleep(max(0.0, due - time.monotonic()))
            if wire.ask(request).status != 200:
                raise RuntimeError("HEAD failed")
            found.append(time.monotonic() - due)
    sys.stdout.write(json.dumps(latencies("head", found)) + "\n")


if __name__ == "__main__":
    main()
