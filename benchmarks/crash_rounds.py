"""Kill the server in the middle of uploads, round after round, and judge what is left.

    python -m benchmarks.crash_rounds --rounds 15 --clients 12 --dir build/bench

Needs the tests beside it, for their server and their client. Prints a line a round and a verdict;
the exit status is 1 where anything that was acknowledged is lost, or anything wrong is shown.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.adversity.crash import Round, run_round
from tests.resumer import Resumer
from tests.sender import Sender

_SPEAKERS: Final = {"tus": Sender, "ietf": Resumer}


def main() -> int:
    """Run the rounds and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--dir", type=Path, default=Path("build/bench"))
    parser.add_argument("--seed", default=str(time.time_ns()), help="printed; to repeat a run")
    parser.add_argument("--sync", choices=["none", "complete", "chunk"], default="complete")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--protocol", choices=sorted(_SPEAKERS), default="tus")
    asked = parser.parse_args()
    asked.dir.mkdir(parents=True, exist_ok=True)
    total = Round()
    for number in range(asked.rounds):
        data = Path(tempfile.mkdtemp(prefix="crash-", dir=asked.dir)).resolve()
        seed = f"{asked.seed}-{number}"
        settings = {"FILELOFT_SYNC": asked.sync, "FILELOFT_WORKERS": str(asked.workers)}
        speaker = _SPEAKERS[asked.protocol]
        seen = run_round(data, seed, asked.clients, settings, speaker)
        _say(f"round {number + 1:3} {_figures(seen)}")
        for fault in seen.faults:
            _say(f"    {fault}")
        total.uploads += seen.uploads
        total.complete += seen.complete
        total.sent_bytes += seen.sent_bytes
        total.acknowledged_bytes += seen.acknowledged_bytes
        total.faults += seen.faults
    verdict = "FAIL" if total.faults else "PASS"
    _say(f"verdict: {verdict} after {asked.rounds} rounds: {_figures(total)} (seed {asked.seed})")
    return 1 if total.faults else 0


def _figures(seen: Round) -> str:
    return (
        f"{seen.uploads} uploads, {seen.complete} complete before the kill, "
        f"{seen.sent_bytes / 1e6:.0f} MB sent, {seen.acknowledged_bytes / 1e6:.0f} MB of it "
        f"acknowledged, {len(seen.faults)} faults"
    )


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
