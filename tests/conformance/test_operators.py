"""What operators ask of a running server: numbers, health, readiness, dumps."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.server import Server

KIB: Final = 1024
DESK: Final = {"METRICS_BIND": "127.0.0.1:0"}


def desk_of(server: Server) -> tuple[str, int]:
    """Return the address that is for operators alone."""
    matched = server.wait_for_log(r'"listening for operators" address=(\S+):(\d+)')
    return matched[1], int(matched[2])


def scrape(address: tuple[str, int]) -> dict[str, float]:
    """Return the samples of a scrape, as ``name{label="value"}`` without what is in the buckets."""
    with Wire(address, 10.0) as wire:
        answer = wire.ask(render_request("GET", "/metrics", {}))
    assert answer.status == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return samples


def look(address: tuple[str, int], path: str, method: str = "GET") -> tuple[int, object]:
    """Return status and JSON of an answer."""
    with Wire(address, 10.0) as wire:
        answer = wire.ask(render_request(method, path, {}))
    return answer.status, json.loads(answer.body) if answer.body else None


@contextmanager
def stalled(endpoint: Endpoint, upload: str, length: int, sent: bytes) -> Iterator[Wire]:
    """Hold a PATCH of *length* bytes open, of which only *sent* has been sent."""
    with endpoint.connect() as wire:
        request = endpoint.render_append(upload, 0, bytes(length))
        head, _, _ = request.partition(b"\r\n\r\n")
        wire.send(head + b"\r\n\r\n" + sent)
        yield wire


@pytest.fixture
def desk(fleet: Fleet) -> Iterator[tuple[Endpoint, tuple[str, int]]]:
    with fleet.start(**DESK, ENABLE_DOWNLOAD="1") as server:
        yield Endpoint(server), desk_of(server)


def test_a_scrape_says_what_was_done(desk: tuple[Endpoint, tuple[str, int]]) -> None:
    tus, address = desk
    whole = tus.finish(b"x" * 100)
    begun = tus.create(1000)
    assert tus.append(begun, 0, b"y" * 400).status == 204
    assert tus.append(begun, 0, b"y").status == 409
    assert tus.append(begun, 400, b"y" * 600).status == 204
    assert tus.append(begun, 1000, b"").status == 204  # asked again: not finished twice
    wrong = checksum("sha1", b"other")
    other = tus.create(5)
    assert tus.append(other, 0, b"right", {"Upload-Checksum": wrong}).status == 460
    assert tus.ask("DELETE", other, {}).status == 204
    assert tus.ask("GET", whole, {}).body == b"x" * 100
    assert tus.head("/files/unknown").status == 404
    told = scrape(address)
    methods = {"POST": 3, "PATCH": 5, "DELETE": 1, "GET": 1, "HEAD": 1, "OPTIONS": 0}
    for method, count in methods.items():
        assert told[f"tusd_requests_total{{method={method}}}"] == count
        durations = f"fileloft_request_duration_seconds_count{{method={method}}}"
        assert told[durations] == count
    assert told["tusd_uploads_created"] == 3
    assert told["tusd_uploads_finished"] == 2
    assert told["tusd_uploads_terminated"] == 1
    assert told["tusd_errors_total{code=ERR_OFFSET_CONFLICT,status=409}"] == 1
    assert told["tusd_errors_total{code=ERR_CHECKSUM_MISMATCH,status=460}"] == 1
    assert told["tusd_errors_total{code=ERR_NOT_FOUND,status=404}"] == 1
    assert told["tusd_bytes_received"] >= 100 + 400 + 600 + 5
    assert told["fileloft_sync_seconds_count"] >= 2
    assert told["fileloft_disk_free_bytes"] > 0
    assert told["fileloft_workers"] == 1
    assert told["process_resident_memory_bytes"] > 1e6


def test_bytes_are_counted_while_they_arrive(desk: tuple[Endpoint, tuple[str, int]]) -> None:
    tus, address = desk
    before = scrape(address)["tusd_bytes_received"]
    upload = tus.create(1000 * KIB)
    with stalled(tus, upload, 1000 * KIB, b"z" * 700 * KIB) as wire:
        eventually(
            lambda: scrape(address)["tusd_bytes_received"] - before == 700 * KIB,
        )
        told = scrape(address)
        assert told["fileloft_transfers_running"] == 1
        assert told["fileloft_requests_running"] >= 1
        assert told["tusd_connections_open"] >= 1
        wire.send(b"z" * 300 * KIB)
        assert wire.read().status == 204
    told = scrape(address)
    assert told["tusd_bytes_received"] - before == 1000 * KIB
    assert told["fileloft_chunk_throughput_bytes_per_second_count"] == 1


def test_bytes_of_a_download_are_counted_while_they_leave(
    desk: tuple[Endpoint, tuple[str, int]],
) -> None:
    tus, address = desk
    size = 64 * 1024 * KIB  # more than fits between a server and a client that does not read
    whole = tus.create(size)
    for offset in range(0, size, size // 4):
        assert tus.append(whole, offset, bytes(size // 4)).status == 204
    with tus.connect() as wire:
        wire.send(render_request("GET", whole, {}))
        eventually(lambda: 0 < scrape(address)["fileloft_bytes_sent_total"] < size)
        assert len(wire.read().body) == size
    eventually(lambda: scrape(address)["fileloft_bytes_sent_total"] == size)


def test_a_hand_over_is_counted_and_its_wait_measured(
    desk: tuple[Endpoint, tuple[str, int]],
) -> None:
    tus, address = desk
    upload = tus.create(100)
    with stalled(tus, upload, 100, b"a" * 10) as wire:
        eventually(lambda: tus.stored(upload) == b"a" * 10)
        assert tus.append(upload, 10, b"b" * 90).status == 204
        assert wire.read().status == 423
    told = scrape(address)
    assert told["fileloft_lock_handovers_total"] == 1
    assert told["fileloft_lock_wait_seconds_count"] == 1


def test_operators_paths_are_not_counted(desk: tuple[Endpoint, tuple[str, int]]) -> None:
    tus, address = desk
    for path in ("/healthz", "/readyz"):
        for place in (tus.server.address, address):
            assert look(place, path)[0] == 200
            assert look(place, path, "HEAD") == (200, None)
    assert scrape(address)["tusd_requests_total{method=GET}"] == 0


def test_the_desk_serves_nothing_else(desk: tuple[Endpoint, tuple[str, int]]) -> None:
    _, address = desk
    with Wire(address, 10.0) as wire:
        assert wire.ask(render_request("POST", "/files/", {"Upload-Length": "1"})).status == 404
        assert wire.ask(render_request("POST", "/metrics", {})).status == 405
    with Wire(address, 10.0) as wire:
        assert wire.ask(b"NONSENSE\r\n\r\n").status == 400


def test_metrics_are_beside_the_uploads_only_where_that_is_asked_for(fleet: Fleet) -> None:
    quiet = fleet.endpoint(MAX_SIZE="1000", ENABLE_CONCATENATION="1")
    assert quiet.ask("GET", "/metrics", {}).status == 404
    with fleet.start(ENABLE_METRICS="1") as server:
        assert scrape(server.address)["fileloft_workers"] == 1


def test_a_path_of_operators_is_theirs_also_where_uploads_live_at_the_root(fleet: Fleet) -> None:
    with fleet.start(BASE_PATH="/") as server:
        tus = Endpoint(server, "/")
        assert look(server.address, "/healthz") == (200, {"status": "ok"})
        upload = tus.create(3)
        assert tus.append(upload, 0, b"abc").status == 204
        assert tus.ask("DELETE", "/healthz", {}).status == 404


def test_a_server_whose_disk_is_low_lives_and_is_not_ready(fleet: Fleet) -> None:
    with fleet.start(MIN_FREE="8388607T") as server:
        assert look(server.address, "/healthz")[0] == 200
        assert look(server.address, "/readyz") == (
            503,
            {"status": "unready", "reasons": ["disk_low"]},
        )


def test_a_server_that_drains_says_so_to_its_operators(
    desk: tuple[Endpoint, tuple[str, int]],
) -> None:
    tus, address = desk
    assert look(address, "/readyz") == (200, {"status": "ready", "reasons": []})
    with tus.connect() as wire:  # a drain waits for an answer that its client does not read
        whole = tus.finish(os.urandom(8 * 1024 * KIB))
        wire.send(render_request("GET", whole, {}))
        tus.server.terminate()
        tus.server.wait_for_log("msg=stopping")
        eventually(
            lambda: (
                look(address, "/readyz") == (503, {"status": "unready", "reasons": ["draining"]})
            ),
        )
        assert scrape(address)["fileloft_draining"] == 1
        wire.reset()
    assert tus.server.wait() == 0


def test_a_dump_says_what_each_running_upload_does(
    desk: tuple[Endpoint, tuple[str, int]],
) -> None:
    tus, _ = desk
    upload = tus.create(100 * KIB)
    with stalled(tus, upload, 100 * KIB, b"d" * 70 * KIB):
        eventually(lambda: len(tus.stored(upload)) == 70 * KIB)
        os.kill(tus.server.pid, signal.SIGUSR1)
        name = upload.rsplit("/", 1)[1]
        line = tus.server.wait_for_log(rf"msg=running id={name} .*").string
        told = dict(pair.split("=", 1) for pair in re.findall(r'\w+=(?:"[^"]*"|\S+)', line))
        assert told["method"] == "PATCH"
        assert told["state"] == "receiving"
        assert told["holder"] == told["request"]
        assert told["client"].startswith("127.0.0.1:")
        assert told["offset"] == told["received"] == str(70 * KIB)
        assert told["length"] == told["of"] == str(100 * KIB)
        assert float(told["age"]) >= 0.0
        assert "token" not in line
    tus.server.wait_for_log(r"msg=dump requests=1 connections=\d+ tasks=\d+ held=1")


def test_workers_count_on_one_board_and_each_one_dumps(fleet: Fleet) -> None:
    with fleet.start(**DESK, WORKERS="2") as server:
        tus, address = Endpoint(server), desk_of(server)
        server.wait_for_log("msg=serving workers=2", 20.0)
        for _ in range(20):  # over both, as the kernel spreads connections
            tus.finish(b"x")
        eventually(lambda: scrape(address)["fileloft_workers"] == 2)
        assert scrape(address)["tusd_uploads_created"] == 20
        os.kill(server.pid, signal.SIGUSR1)
        eventually(lambda: sum("msg=dump" in line for line in server.log) == 2)
        killed = re.search(r"pid=(\d+)", next(line for line in server.log if "pid=" in line))
        assert killed is not None
        os.kill(int(killed[1]), signal.SIGKILL)
        server.wait_for_log("worker died")
        eventually(lambda: scrape(address)["fileloft_workers"] == 2)
        told = scrape(address)
        assert told["fileloft_worker_restarts_total"] == 1
        assert told["tusd_uploads_created"] == 20
