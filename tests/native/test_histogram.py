"""The histogram against sorted lists."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane.load import Histogram

LATENCIES = st.lists(st.floats(1e-6, 3600.0), min_size=1, max_size=300)
PERCENTS = (0.0, 0.1, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.999, 100.0)


def filled(latencies: list[float]) -> Histogram:
    histogram = Histogram()
    for latency in latencies:
        histogram.record(latency)
    return histogram


@given(LATENCIES, st.floats(0.0, 100.0))
def test_a_percentile_is_that_of_the_sorted_list(latencies: list[float], another: float) -> None:
    histogram = filled(latencies)
    ordered = sorted(latencies)
    for percent in (*PERCENTS, another):
        rank = max(math.ceil(percent * len(ordered) / 100 - 1e-9), 1)
        assert histogram.percentile(percent) == pytest.approx(ordered[rank - 1], rel=1e-3)
    assert histogram.count == len(ordered)
    assert histogram.min_s == pytest.approx(ordered[0], abs=1e-9)
    assert histogram.max_s == pytest.approx(ordered[-1], abs=1e-9)
    assert histogram.mean_s == pytest.approx(sum(ordered) / len(ordered), abs=1e-9, rel=1e-9)


@given(LATENCIES, LATENCIES)
def test_two_together_are_one_of_both(one: list[float], other: list[float]) -> None:
    merged = filled(one)
    merged.add(filled(other))
    whole = filled(one + other)
    assert merged.buckets() == whole.buckets()
    assert [merged.percentile(p) for p in PERCENTS] == [whole.percentile(p) for p in PERCENTS]
    assert (merged.count, merged.min_s, merged.max_s) == (whole.count, whole.min_s, whole.max_s)
    assert merged.mean_s == pytest.approx(whole.mean_s)


@given(LATENCIES)
def test_buckets_bound_what_they_count(latencies: list[float]) -> None:
    buckets = filled(latencies).buckets()
    ordered = sorted(latencies)
    assert [upper for upper, _ in buckets] == sorted(upper for upper, _ in buckets)
    at = 0
    for upper, count in buckets:
        at += count
        assert ordered[at - 1] <= upper * (1 + 1e-9) + 1e-9
        assert ordered[at - 1] >= upper * (1 - 1e-3) - 2e-9
    assert at == len(ordered)


def test_an_empty_one_has_zeros() -> None:
    empty = Histogram()
    assert (empty.count, empty.min_s, empty.max_s, empty.mean_s) == (0, 0.0, 0.0, 0.0)
    assert (empty.percentile(50), empty.buckets()) == (0.0, [])
    other = filled([1.0])
    other.add(empty)
    assert other.count == 1


def test_what_is_outside_counts_as_the_bound() -> None:
    histogram = filled([-1.0, 0.0, 1e-9, 1e300, math.inf])
    assert (histogram.count, histogram.min_s, histogram.max_s) == (5, 1e-6, 3600.0)


def test_one_latency_may_count_many_times() -> None:
    histogram = Histogram()
    histogram.record(0.5, 999)
    histogram.record(2.0)
    histogram.record(3.0, 0)
    assert (histogram.count, histogram.max_s) == (1000, 2.0)
    assert histogram.percentile(99.9) == pytest.approx(0.5, rel=1e-3)
    assert histogram.percentile(99.91) == 2.0


def test_what_is_no_number_is_refused() -> None:
    histogram = Histogram()
    with pytest.raises(ValueError, match="number"):
        histogram.record(math.nan)
    for percent in (-0.1, 100.1, math.nan):
        with pytest.raises(ValueError, match="percentile"):
            histogram.percentile(percent)
