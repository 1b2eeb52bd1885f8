"""SIGKILL in the middle of everything (crash.py); benchmarks/crash_rounds.py runs many rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.adversity.crash import run_round

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_a_kill_loses_nothing_acknowledged_and_shows_nothing_unverified(
    seed: str, tmp_path: Path
) -> None:
    seen = run_round(tmp_path, seed, clients=7, settings={})
    assert seen.uploads
    assert not seen.faults
