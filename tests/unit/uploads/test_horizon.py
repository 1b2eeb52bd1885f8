"""Until when uploads have been looked at: what a sweep need not look at, and when it must again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from fileloft_fast.model import UploadId
from fileloft_fast.uploads.horizon import Horizon

if TYPE_CHECKING:
    import pytest

ALL: Final = float("-inf")
DAY: Final = 86_400.0


def reached(until: float) -> Horizon:
    """Return the horizon after a sweep *until* then."""
    horizon = Horizon()
    assert horizon.since(until) == ALL
    horizon.reach(until)
    return horizon


def test_a_sweep_looks_from_where_the_last_one_came_to_and_a_little_before() -> None:
    assert 990 < reached(1000.0).since(1060.0) < 1000


def test_a_sweep_that_did_not_end_counts_for_nothing() -> None:
    horizon = reached(1000.0)
    horizon.since(2000.0)
    assert horizon.since(3000.0) < 1000


def test_a_clock_that_was_set_back_hides_nothing_that_is_written_from_then_on() -> None:
    horizon = reached(1000.0)
    assert horizon.since(500.0) < 500
    horizon.reach(500.0)
    assert horizon.since(1100.0) < 500


def test_once_a_day_all_uploads_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    horizon, now = reached(1000.0), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + DAY - 60)
    assert horizon.since(2000.0) > ALL
    monkeypatch.setattr(time, "monotonic", lambda: now + DAY + 60)
    assert horizon.since(3000.0) == ALL
    horizon.reach(3000.0)
    assert horizon.since(3060.0) > ALL


def test_what_was_passed_over_is_remembered_as_far_as_it_is_little() -> None:
    horizon = reached(1000.0)
    horizon.passed_over = {UploadId(str(number)) for number in range(1000)}
    horizon.reach(2000.0)
    assert len(horizon.passed_over) == 1000
    assert horizon.since(2060.0) > ALL
    horizon.passed_over.add(UploadId("one-more"))
    horizon.reach(3000.0)
    assert not horizon.passed_over
    assert horizon.since(3060.0) == ALL
