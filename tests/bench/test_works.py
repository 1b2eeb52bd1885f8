"""Every work, against our own server."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.bench import WORKS, Process, discover, measure
from fileloft_fast.bench.results import Limit
from tests.bench.measuring import SIZES, measured, url_of
from tests.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from fileloft_fast.bench.watching import Tell
    from tests.conftest import Fleet


@pytest.mark.parametrize("work", sorted(WORKS))
def test_a_work_ends_without_failure_and_says_what_it_took(shop: Endpoint, work: str) -> None:
    result = measured(shop, work)
    assert result.not_offered is None
    assert result.failures == {}, result.first_failure
    assert result.units > 0
    assert result.seconds > 0
    assert result.limit is not Limit.UNKNOWN
    assert result.server is not None
    assert result.server.peak_rss_bytes >= result.server.rss_before_bytes > 0
    assert result.server.cpu_s >= 0
    assert result.uploads_left > 0


@pytest.mark.parametrize(
    ("work", "size"),
    [
        ("large", SIZES.size_bytes),
        ("chunks", SIZES.size_bytes),
        ("download", SIZES.size_bytes),
        ("streams", SIZES.size_bytes // 3 * 3),
        ("small", 200 * 100),
        ("slow", 20 * 15 * 100),
        ("resume", 0),
    ],
)
def test_a_work_counts_the_bytes_of_its_bodies(shop: Endpoint, work: str, size: int) -> None:
    assert measured(shop, work).bytes == size


def test_what_was_sent_is_what_the_server_has(tus: Endpoint) -> None:
    before = tus.uploads()
    result = measured(tus, "small")
    made = tus.uploads() - before
    assert len(made) == 201 == result.uploads_left
    assert {tus.info(f"/files/{each}")["size"] for each in made} == {100}
    assert result.bytes_left == 201 * 100


def test_small_uploads_take_one_request_and_have_a_latency_each(tus: Endpoint) -> None:
    result = measured(tus, "small")
    assert result.done == "200 uploads of 100 B on 8 connections, one request each"
    assert result.latency is not None
    assert result.latency.count == 200
    assert 0 < result.latency.min_s <= result.latency.p50_s <= result.latency.p99_s
    assert result.latency.p99_s <= result.latency.p999_s <= result.latency.max_s
    assert result.latency.curve[-1] == (100.0, result.latency.max_s)


def test_uploads_are_due_at_the_rate_that_was_asked_for(tus: Endpoint) -> None:
    result = measured(tus, "small", replace(SIZES, small_count=40, rate=100.0))
    assert result.failures == {}
    assert result.seconds >= 0.39


def test_chunks_have_a_latency_each(tus: Endpoint) -> None:
    result = measured(tus, "chunks")
    assert result.latency is not None
    assert result.latency.count == 13
    assert result.done == "3 MiB in chunks of 256 KiB with sha1"


def test_another_checksum_can_be_asked_for(tus: Endpoint) -> None:
    assert "with md5" in measured(tus, "chunks", replace(SIZES, checksum="md5")).done
    assert measured(tus, "chunks", replace(SIZES, checksum="crc99")).not_offered is not None


def test_a_resume_sees_every_byte_of_a_stalled_holder(tus: Endpoint) -> None:
    result = measured(tus, "resume")
    assert result.figures["offsets_exact_count"] == 3
    assert result.parts["HEAD"].count == 12
    assert result.parts["takeover"].count == 3
    assert result.parts["takeover"].max_s < 5


def test_slow_clients_keep_their_pace(tus: Endpoint) -> None:
    result = measured(tus, "slow")
    assert result.latency is not None
    assert result.latency.min_s >= 0.2  # 15 pieces, each due 20 ms after the one before
    assert result.figures["rss_per_connection_bytes"] >= 0
    assert result.figures["cpu_percent_with_beginnings"] >= 0


def test_what_trickling_costs_is_told_apart_from_what_its_beginning_costs(tus: Endpoint) -> None:
    """Requests that begin and end take most of the CPU of a short run."""
    long = measured(tus, "slow", replace(SIZES, slow_s=2.0))
    assert 0 <= long.figures["cpu_percent_of_a_core"] < 100
    assert 0 <= long.figures["client_percent_of_a_core"] < 100
    assert not long.notes
    short = measured(tus, "slow", replace(SIZES, slow_s=0.1))
    assert "cpu_percent_of_a_core" not in short.figures
    assert any("too short" in note for note in short.notes)


def test_uploads_are_no_larger_than_the_server_takes_and_that_is_said(limited: Endpoint) -> None:
    for work in ("large", "streams", "chunks", "small", "slow", "resume"):
        sizes = replace(SIZES, small_bytes=4096)
        result = measured(limited, work, sizes)
        assert result.failures == {}, result.first_failure
        assert any("Tus-Max-Size" in note for note in result.notes), work


def test_uploads_are_deleted_where_that_is_asked_for(tus: Endpoint) -> None:
    before = tus.uploads()
    for work in ("large", "streams", "chunks", "resume", "slow"):
        result = measured(tus, work, deletes=True)
        assert (result.failures, result.uploads_left, result.bytes_left) == ({}, 0, 0)
    assert tus.uploads() == before


def test_what_is_watched_is_told_how_far_it_is(tus: Endpoint) -> None:
    told: list[tuple[str, int, str]] = []

    class Watcher:
        def watch(self, title: str, total: int, unit: str) -> AbstractContextManager[Tell]:
            told.append((title, total, unit))
            return nullcontext(lambda _done: None)

    target = discover(url_of(tus))
    for work in WORKS:
        measure(WORKS[work], target, SIZES, progress=Watcher())
    size = SIZES.size_bytes
    assert ("large", size, "B") in told
    assert ("small", 200, "uploads") in told
    assert {title for title, _, _ in told} >= set(WORKS) - {"download"}


def test_a_server_that_dies_is_a_failure_that_is_told(fleet: Fleet) -> None:
    server = fleet.start()
    endpoint = Endpoint(server)
    target, process = discover(url_of(endpoint)), Process(server.pid)

    class Killer:
        @contextmanager
        def watch(self, *_: object) -> Iterator[Tell]:
            yield lambda _done: server.kill() if server.running else None

    sizes = replace(SIZES, slow_s=5.0)
    result = measure(WORKS["slow"], target, sizes, process=process, progress=Killer())
    assert result.failed > 0
    assert result.first_failure
    assert result.bytes == 0
    assert measure(WORKS["large"], target, sizes).failures == {"POST: no answer": 1}
