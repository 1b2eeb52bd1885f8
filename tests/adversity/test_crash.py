"""SIGKILL in the middle of everything (crash.py); benchmarks/crash_rounds.py runs many rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adversity.crash import run_round

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("seed", "workers"), [("a", 1), ("b", 1), ("c", 1), ("d", 4), ("e", 4)])
def test_a_kill_loses_nothing_acknowledged_and_shows_nothing_unverified(
    seed: str, workers: int, tmp_path: Path
) -> None:
    seen = run_round(tmp_path, seed, clients=7, settings={"FILELOFT_WORKERS": str(workers)})
    assert seen.uploads
    assert not seen.faults
