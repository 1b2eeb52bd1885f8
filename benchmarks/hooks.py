"""What post-finish costs a small upload.

    python -m benchmarks.hooks --dir build/bench [--rounds 3] [--count 3000]

4 KiB creations with upload on 32 connections, durable: without hooks, with a Python hook that does
nothing (what the outbox costs), and with an HTTP hook on the same machine, whose server takes CPU
beside ours. Alternating rounds, medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers import Meter, Peer, ours, raise_descriptor_limit, say
from fileloft_fast.bench.measure import measure
from fileloft_fast.bench.sizes import Sizes
from fileloft_fast.bench.target import discover
from fileloft_fast.bench.works import WORKS
from tests.hooks.listener import HookServer

if TYPE_CHECKING:
    from fileloft_fast.hooks import HookRequest

_FINISH: Final = {"FILELOFT_HOOKS_EVENTS": "post-finish"}


class Silent:
    """A hook that does nothing."""

    async def post_finish(self, request: HookRequest) -> None:
        """Hear of an upload."""


@contextmanager
def _ways() -> Iterator[tuple[HookServer, Mapping[str, Mapping[str, str]]]]:
    with HookServer() as listener:
        yield (
            listener,
            {
                "no hooks": {},
                "python hook": {**_FINISH, "FILELOFT_HOOKS": "benchmarks.hooks:Silent"},
                "http hook": {**_FINISH, "FILELOFT_HOOKS_HTTP": listener.url},
            },
        )


def _small(peer: Peer, count: int) -> tuple[float, float]:
    """Make small uploads; how many a second, and the milliseconds of the 99th percentile."""
    result = measure(WORKS["small"], discover(peer.url), Sizes(small_count=count))
    if result.failures or result.latency is None:
        raise RuntimeError(f"requests failed: {result.failures}")
    return result.units / result.seconds, result.latency.p99_s * 1000


def main() -> None:
    """Measure, and print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=3000)
    wanted = parser.parse_args()
    raise_descriptor_limit()
    wanted.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=wanted.dir))
    figures: dict[str, list[tuple[float, float, float]]] = {}
    with _ways() as (listener, ways):
        for turn in range(wanted.rounds + 1):
            for name, settings in ways.items():
                fresh = folder / f"{turn}-{name.replace(' ', '-')}"
                with ours(fresh, settings) as peer:
                    _small(peer, 300)
                    with Meter(peer) as meter:
                        said = _small(peer, wanted.count)
                        if "FILELOFT_HOOKS_HTTP" in settings:  # what it costs to tell, too
                            told = wanted.count + 300 + 2  # each load tries one upload first
                            listener.wait_for("post-finish", told, within_s=120)
                    listener.clear()
                if turn:
                    cost = meter.cpu_s / wanted.count * 1000
                    figures.setdefault(name, []).append((*said, cost))
    for name, rounds in figures.items():
        rate, p99_ms, cpu_s = (statistics.median(column) for column in zip(*rounds, strict=True))
        say(f"{name}: {rate:.0f} a second, p99 {p99_ms:.1f} ms, CPU {cpu_s:.3f} s for 1,000")
    say(f"files: {folder}")


if __name__ == "__main__":
    main()
