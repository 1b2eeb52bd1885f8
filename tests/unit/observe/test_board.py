"""The board: what is counted is what is shown, over all workers, and what one of them leaves."""

from __future__ import annotations

import mmap
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fileloft_fast.observe.board import Board, board_bytes
from fileloft_fast.observe.expose import render_board
from fileloft_fast.observe.table import BUILD, METRICS, Kind

COUNTER = "fileloft_lock_handovers_total"
GAUGE = "tusd_connections_open"
LARGEST = "fileloft_disk_free_bytes"
HISTOGRAM = "fileloft_sync_seconds"


def shown(board: Board) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample of a scrape of *board*."""
    text = render_board(board, dict.fromkeys(BUILD.labels, "x")).decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_series_is_shown_from_the_start() -> None:
    samples = shown(Board())
    names = {name for name, _ in samples}
    for metric in METRICS:
        suffix = "_count" if metric.kind is Kind.HISTOGRAM else ""
        assert metric.name + suffix in names
        for labels in metric.series:
            key = (metric.name + suffix, frozenset(zip(metric.labels, labels, strict=True)))
            assert samples[key] == 0.0


@settings(deadline=None)  # the first example pays for what is loaded
@given(st.lists(st.floats(0, 100)))
def test_a_histogram_counts_each_value_once_and_in_its_bucket(values: list[float]) -> None:
    board = Board()
    histogram = board.histogram(HISTOGRAM)
    for value in values:
        histogram.observe(value)
    samples = shown(board)
    assert samples[f"{HISTOGRAM}_count", frozenset()] == len(values)
    assert samples[f"{HISTOGRAM}_sum", frozenset()] == pytest.approx(sum(values))
    for (name, labels), count in samples.items():
        if name == f"{HISTOGRAM}_bucket":
            bound = float(dict(labels)["le"])
            assert count == sum(value <= bound for value in values)


def test_numbers_of_workers_are_added_up_or_the_largest_is_taken() -> None:
    memory = bytearray(board_bytes(3))
    boards = [Board(memory, slots=3, slot=slot) for slot in range(3)]
    for number, board in enumerate(boards):
        board.add(COUNTER, by=number + 1)
        board.cells[board.cell(GAUGE)] = 10
        board.cells[board.cell(LARGEST)] = number
    assert boards[0].read(COUNTER) == boards[2].read(COUNTER) == [6.0]
    assert boards[1].read(GAUGE) == [30.0]
    assert boards[1].read(LARGEST) == [2.0]


def test_who_takes_a_slot_over_goes_on_with_its_counters_and_with_no_gauge() -> None:
    memory = bytearray(board_bytes(2))
    first = Board(memory, slots=2, slot=1)
    first.add(COUNTER)
    first.cells[first.cell(GAUGE)] = 5
    second = Board(memory, slots=2, slot=1)
    second.add(COUNTER)
    assert second.read(COUNTER) == [2.0]
    assert second.read(GAUGE) == [0.0]


def test_a_process_that_was_forked_counts_where_the_others_look() -> None:
    with mmap.mmap(-1, board_bytes(2)) as memory:
        board = Board(memory, slots=2, slot=0)
        pid = os.fork()
        if pid == 0:
            Board(memory, slots=2, slot=1).add(COUNTER, by=7)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert board.read(COUNTER) == [7.0]
        board.close()


@pytest.mark.parametrize("slot", [-1, 2])
def test_a_slot_that_there_is_not_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="no slot"):
        Board(slots=2, slot=slot)


def test_a_name_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(KeyError):
        Board().cell("tusd_made_up")
    with pytest.raises(KeyError):
        Board().cell("tusd_requests_total", "BREW")
