"""From a native histogram to what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.results import Latency

if TYPE_CHECKING:
    from fileloft_fast.dataplane.load import Histogram

_CURVE: Final = (
    *(float(p) for p in range(0, 90, 5)),
    *(90.0, 92.5, 95.0, 97.5, 98.0, 99.0, 99.5, 99.75, 99.9, 99.95, 99.99, 99.995, 99.999),
)


def latency_of(histogram: Histogram) -> Latency | None:
    """Return the percentiles of *histogram*, None where it is empty."""
    count = histogram.count
    if not count:
        return None
    # a percentile that less than one request lies above is the largest of all
    shown = [p for p in _CURVE if (100 - p) / 100 * count >= 1]
    curve = [(p, histogram.percentile(p)) for p in shown]
    return Latency(
        count=count,
        min_s=histogram.min_s,
        mean_s=histogram.mean_s,
        p50_s=histogram.percentile(50),
        p90_s=histogram.percentile(90),
        p99_s=histogram.percentile(99),
        p999_s=histogram.percentile(99.9),
        max_s=histogram.max_s,
        curve=(*curve, (100.0, histogram.max_s)),
    )
