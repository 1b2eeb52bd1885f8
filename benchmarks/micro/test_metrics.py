"""What is counted of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.observe.board import Board

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired


def test_a_counter(paired: Paired) -> None:
    board = Board()
    cells, place = board.cells, board.cell("tusd_requests_total", "PATCH")

    def count() -> None:
        for _ in range(100):
            cells[place] += 1

    paired(count)
    (counted,) = board.read("tusd_requests_total", "PATCH")
    assert counted
    assert counted % 100 == 0


def test_a_histogram(paired: Paired) -> None:
    board = Board()
    seconds = board.histogram("fileloft_request_duration_seconds", "PATCH")

    def observe() -> None:
        for _ in range(100):
            seconds.observe(0.0003)

    paired(observe)
    *buckets, total = board.read("fileloft_request_duration_seconds", "PATCH")
    assert buckets[2] == sum(buckets) > 0
    assert abs(total / buckets[2] - 0.0003) < 1e-9
