"""The board as Prometheus reads it. Loaded at the first scrape: its library is not small."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from fileloft_fast.observe.table import BUILD, METRICS, Kind, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fileloft_fast.observe.board import Board

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class BoardCollector(Collector):
    """Makes families of a board; *build* are the labels of ``fileloft_build_info``."""

    def __init__(self, board: Board, build: Mapping[str, str]) -> None:
        self._board = board
        self._build = build

    def collect(self) -> Iterator[Family]:
        """Yield what the board shows now."""
        for metric in METRICS:
            family = _family(metric)
            for labels in metric.series:
                values = self._board.read(metric.name, *labels)
                named = dict(zip(metric.labels, labels, strict=True))
                if metric.kind is Kind.HISTOGRAM:
                    _add_buckets(family, metric, named, values)
                else:
                    family.add_sample(metric.name, named, values[0])
            yield family
        build = _family(BUILD)
        build.add_sample(BUILD.name, dict(self._build), 1.0)
        yield build


def render_board(board: Board, build: Mapping[str, str]) -> bytes:
    """Return what a scrape is answered with. Takes milliseconds; any thread may call it."""
    return generate_latest(BoardCollector(board, build))


def _family(metric: Metric) -> Family:
    kind = metric.kind.value
    if metric.kind is Kind.COUNTER and not metric.name.endswith("_total"):
        # tusd has counters whose names do not say it, and the library would rename them.
        kind = "unknown"
    name = metric.name.removesuffix("_total") if kind == "counter" else metric.name
    return Family(name, metric.meaning, kind)


def _add_buckets(
    family: Family, metric: Metric, labels: dict[str, str], values: list[float]
) -> None:
    *counts, total = values
    seen = 0.0
    for bound, count in zip((*metric.bounds, inf), counts, strict=True):
        seen += count
        bucket = {**labels, "le": "+Inf" if bound == inf else repr(bound)}
        family.add_sample(f"{metric.name}_bucket", bucket, seen)
    family.add_sample(f"{metric.name}_count", labels, seen)
    family.add_sample(f"{metric.name}_sum", labels, total)
