"""Run the micro-benchmarks and compare them with the baseline: ``python -m benchmarks.micro``.

``--update`` measures three times and stores the medians instead. What else is given goes to pytest.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from benchmarks.baseline import Baseline, Judgement, read_baseline, rounded, write_baseline
from benchmarks.micro import conftest

UPDATE: Final = "--update"
HERE: Final = Path(__file__).parent

OPTIONS: Final = (
    "--quiet",
    "--benchmark-only",
    "--benchmark-disable-gc",
    "--benchmark-timer=time.process_time",
    "--benchmark-columns=min,median,rounds",
    "--benchmark-sort=fullname",
)


class Run:
    """One run of pytest, and what it has measured."""

    def __init__(self, words: Sequence[str]) -> None:
        self.measured: dict[str, float] = {}
        self.whole = False
        self.worse: list[str] = []
        self.failed = False
        self.gone = False
        self.status = int(pytest.main([*words, *OPTIONS], plugins=[self]))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Take what the plugin of the benchmarks has found; pytest calls this."""
        stash = session.config.stash
        judged = {each.name: each.judgement for each in stash[conftest.VERDICTS]}
        self.measured = stash[conftest.MEASURED]
        self.whole = stash[conftest.WHOLE]
        self.worse = [name for name, found in judged.items() if found is Judgement.WORSE]
        self.failed = bool(session.testsfailed)
        self.gone = Judgement.GONE in judged.values()


def main() -> int:
    """Return pytest's exit status, 1 where a figure is worse than it was.

    What is worse is measured once more: something else may have had the processor.
    """
    words = [str(HERE), *(word for word in sys.argv[1:] if word != UPDATE)]
    if UPDATE in sys.argv[1:]:
        return _update(words)
    run = Run(words)
    if not run.worse or run.failed or run.gone:
        return run.status
    return Run([f"{HERE}/test_{name}" for name in run.worse]).status


def _update(words: Sequence[str]) -> int:
    """Store the medians of three runs: one that was lucky would make all others look worse."""
    runs: list[Run] = []
    while len(runs) < 3:
        runs.append(Run(words))
        if runs[-1].failed or not runs[-1].measured:
            return runs[-1].status
    names = runs[0].measured
    ratios = {name: statistics.median(run.measured[name] for run in runs) for name in names}
    stored = read_baseline()
    kept = {} if runs[0].whole else stored.ratios
    write_baseline(Baseline(kept | rounded(ratios), stored.instructions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
