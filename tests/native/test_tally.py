"""A tally puts a request into the cells that the board has for it."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import Tally
from fileloft_fast.observe.board import Board

DURATION = "fileloft_request_duration_seconds"


@given(st.lists(st.tuples(st.floats(0, 1e5), st.integers(0, 2**40)), max_size=20))
def test_a_tally_counts_as_the_board_would(requests: list[tuple[float, int]]) -> None:
    board, other = Board(), Board()
    received = board.cell("tusd_bytes_received")
    tally = Tally(
        board.cells,
        board.cell("tusd_requests_total", "POST"),
        *board.buckets(DURATION, "POST"),
        received,
    )
    for seconds, size in requests:
        tally.count(seconds, size)
        other.histogram(DURATION, "POST").observe(seconds)
        other.add("tusd_requests_total", "POST")
        other.add("tusd_bytes_received", by=size)
    assert board.cells.tolist() == other.cells.tolist()


def test_the_bound_itself_belongs_to_its_bucket() -> None:
    cells = memoryview(array("d", [0.0] * 6))
    tally = Tally(cells, 0, 2, (1.0, 2.0), 1)
    tally.count(1.0, 3)
    assert cells.tolist() == [1.0, 3.0, 1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("place", [(-1, 2, 1), (6, 2, 1), (0, 3, 1), (0, -1, 1), (0, 2, 6)])
def test_a_cell_that_is_not_there_is_refused(place: tuple[int, int, int]) -> None:
    requests, seconds, received = place
    with pytest.raises(ValueError, match="no cell"):
        Tally(memoryview(array("d", [0.0] * 6)), requests, seconds, (1.0, 2.0), received)


def test_cells_are_doubles_that_can_be_written() -> None:
    with pytest.raises(ValueError, match="doubles"):
        Tally(memoryview(array("q", [0] * 6)), 0, 2, (1.0, 2.0), 1)
    with pytest.raises(BufferError):
        Tally(memoryview(array("d", [0.0] * 6)).toreadonly(), 0, 2, (1.0, 2.0), 1)
    with pytest.raises(TypeError):
        Tally(None, 0, 2, (1.0, 2.0), 1)  # type: ignore[arg-type]
