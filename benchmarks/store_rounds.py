"""Kill the server and the store behind it, round after round; let uploads travel between replicas.

    python -m benchmarks.store_rounds --rounds 30 --store-rounds 10 --uploads 200 --dir build/bench

On SeaweedFS and Redis, which the tests beside it start. Prints a line for each mode and a verdict;
the exit status is 1 where anything that was promised is lost, or a session is left open.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.peers import say
from tests.server import Server
from tests.stores.clouds import S3Cloud
from tests.stores.crash import run_round
from tests.stores.fleet import travel
from tests.stores.redis_server import RedisServer


def main() -> int:
    """Run the rounds and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="kills of the server, each mode")
    parser.add_argument("--store-rounds", type=int, default=10, help="kills of the store")
    parser.add_argument("--uploads", type=int, default=200, help="that travel between replicas")
    parser.add_argument("--clients", type=int, default=7)
    parser.add_argument("--modes", default="finish,spool,chunk")
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--seed", default=str(time.time_ns()), help="printed; to repeat a run")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rounds-", dir=asked.dir)).resolve()
    say(f"seed {asked.seed}, in {folder}")
    faults = 0
    with S3Cloud(folder / "weed") as cloud:
        for mode in filter(None, asked.modes.split(",")):
            for victim, rounds in (("server", asked.rounds), ("store", asked.store_rounds)):
                faults += _kill(folder, cloud, mode, victim, rounds, asked)
        if asked.uploads:
            faults += _travel(folder, cloud, asked)
    say(f"verdict: {'FAIL' if faults else 'PASS'}, {faults} faults")
    return 1 if faults else 0


def _kill(  # noqa: PLR0913, PLR0917 - what a row of rounds is made of
    folder: Path, cloud: S3Cloud, mode: str, victim: str, rounds: int, asked: argparse.Namespace
) -> int:
    uploads = complete = acknowledged = faults = 0
    for number in range(rounds):
        seed = f"{asked.seed} {mode} {victim} {number}"
        spool = folder / f"{mode}-{victim}-{number}"
        seen = run_round(spool, cloud, mode, victim, seed, asked.clients)
        uploads += seen.uploads
        complete += seen.complete
        acknowledged += seen.acknowledged_bytes
        faults += len(seen.faults)
        for fault in seen.faults:
            say(f"    {mode} {victim} round {number + 1}: {fault}")
    say(
        f"{mode}, {victim} killed {rounds} times: {uploads} uploads, {complete} complete before, "
        f"{acknowledged / 1e6:.0f} MB acknowledged, {faults} faults"
    )
    return faults


def _travel(folder: Path, cloud: S3Cloud, asked: argparse.Namespace) -> int:
    with ExitStack() as stack:
        (folder / "redis").mkdir()
        redis = stack.enter_context(RedisServer(folder / "redis"))
        settings = {
            **cloud.settings,
            "FILELOFT_ACK": "chunk",
            "FILELOFT_LOCK": "redis",
            "FILELOFT_REDIS_URL": redis.url,
            "FILELOFT_PART_SIZE": "5M",
        }
        replicas = [
            stack.enter_context(Server(folder / f"replica-{name}", settings)) for name in "ab"
        ]
        seen = travel(replicas, cloud, asked.seed, asked.uploads, at_once=8)
    for fault in seen.faults:
        say(f"    {fault}")
    say(
        f"two replicas: {seen.uploads} uploads, {seen.interruptions} interruptions, "
        f"{seen.moves} changes of replica, {len(seen.faults)} faults"
    )
    return len(seen.faults)


if __name__ == "__main__":
    sys.exit(main())
