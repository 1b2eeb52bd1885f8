"""Latencies in HDR layout: log-linear buckets, exact to three digits from 1 us to 1 h."""

from typing import final

__pyx_capi__: dict[str, object]

@final
class Histogram:
    """How often which latency was seen. Not for two threads at once."""

    def __init__(self) -> None: ...
    def record(self, seconds: float, count: int = 1) -> None:
        """Count a latency; what is below 1 us or above 1 h counts as that. ValueError for NaN."""

    def add(self, other: Histogram) -> None:
        """Count what *other* has counted too."""

    @property
    def count(self) -> int: ...
    @property
    def min_s(self) -> float:
        """The least, exactly; 0 where nothing was counted, like the next three."""

    @property
    def max_s(self) -> float:
        """The most, exactly."""

    @property
    def mean_s(self) -> float:
        """The arithmetic mean, exactly."""

    def percentile(self, percent: float) -> float:
        """Return the least latency that so many percent do not exceed, within 0.1 %.

        0 is the least of all and 100 the most. Raises ValueError outside of 0 to 100.
        """

    def buckets(self) -> list[tuple[float, int]]:
        """Return (upper bound in seconds, count) of each bucket that is not empty, ascending."""
