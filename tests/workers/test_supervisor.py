"""Several workers under one supervisor: what dies is started again, and all end together."""

from __future__ import annotations

import os
import random
import re
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.conformance.append import begin_append, end_of
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server, workers_of
from tests.wire import render_request
from tests.workers.upgradable import runs

if TYPE_CHECKING:
    from pathlib import Path

FOUR = {"FILELOFT_WORKERS": "4", "FILELOFT_SHUTDOWN_TIMEOUT": "5"}
HAND_OVER_S = 0.1


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Return a server of four workers."""
    with Server(tmp_path_factory.mktemp("four"), FOUR) as server:
        server.wait_for_log("msg=serving workers=4")
        yield Endpoint(server)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Endpoint]:
    """Return a server of four workers that the test may hurt."""
    server = Server(tmp_path, FOUR)
    try:
        server.wait_for_log("msg=serving workers=4")
        yield Endpoint(server)
    finally:
        if server.running:
            server.stop()


def test_every_worker_takes_its_share_of_the_connections(four: Endpoint) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(four.connect())
        workers = workers_of(four.server.pid)
        assert len(workers) == 4
        eventually(lambda: all(connections_of(pid, four) > 0 for pid in workers))


def connections_of(pid: int, endpoint: Endpoint) -> int:
    """Return how many sockets a process has beyond those that it listens on."""
    return sum("socket:" in str(path) for path in endpoint.server.open_files(pid)) - 4


def test_head_is_exact_and_quick_whichever_worker_the_stalled_holder_is_in(four: Endpoint) -> None:
    upload = four.create(1_000_000)
    sent, times = 0, []
    with four.connect() as stalled:
        begin_append(four, stalled, upload, 1_000_000, b"x" * 100)
        sent = 100
        for _ in range(20):
            stalled.send(b"y" * 1000)
            sent += 1000
            started = time.monotonic()
            assert four.offset(upload) == sent
            times.append(time.monotonic() - started)
    assert statistics.median(times) < HAND_OVER_S, statistics.quantiles(times)


def test_the_next_patch_takes_over_whichever_worker_it_comes_to(four: Endpoint) -> None:
    upload = four.create(20_000)
    content, times = b"", []
    with ExitStack() as stack:
        for number in range(20):
            wire = stack.enter_context(four.connect())
            size = 20_000 - len(content)
            piece = bytes([97 + number]) * 500
            started = time.monotonic()
            begin_append(four, wire, upload, size, piece, offset=len(content))
            times.append(time.monotonic() - started)
            content += piece
    assert statistics.median(times) < HAND_OVER_S, statistics.quantiles(times)
    four.assert_holds(upload, content)


def test_a_worker_that_dies_is_started_again_and_its_uploads_go_on(own: Endpoint) -> None:
    content = random.Random(1).randbytes(100_000)
    for signal_number in (signal.SIGKILL, signal.SIGTERM):
        workers = workers_of(own.server.pid)
        upload = own.create(len(content))
        seen = len(own.server.log)
        with own.connect() as wire:
            begin_append(own, wire, upload, len(content), content[:50_000])
            for pid in workers:
                os.kill(pid, signal_number)
            assert end_of(wire) in {0, 503}
        for pid in workers:
            own.server.wait_for_log(f'msg="worker died" slot=. pid={pid}', after=seen)
        assert own.offset(upload) == 50_000
        assert own.append(upload, 50_000, content[50_000:]).status == 204
        own.assert_holds(upload, content)
        eventually(lambda: len(workers_of(own.server.pid)) == 4)


def test_no_connection_is_refused_while_a_worker_is_down(own: Endpoint) -> None:
    for pid in workers_of(own.server.pid):
        os.kill(pid, signal.SIGKILL)
    for _ in range(20):
        assert own.ask("OPTIONS", "/files/").status == 204


def test_a_worker_that_keeps_dying_is_started_ever_more_seldom(own: Endpoint) -> None:
    starts: list[float] = []
    for _ in range(4):
        slot = eventually(lambda: newest_worker(own, 0))
        os.kill(slot, signal.SIGKILL)
        own.server.wait_for_log(f'msg="worker died" slot=0 pid={slot}')
        started = time.monotonic()
        last = slot
        eventually(lambda: newest_worker(own, 0) != last)  # noqa: B023 - called at once
        starts.append(time.monotonic() - started)
    assert starts[-1] > min(starts) + 0.3


def newest_worker(endpoint: Endpoint, slot: int) -> int:
    """Return the worker that was started last in *slot*."""
    lines = "\n".join(endpoint.server.log)
    return int(re.findall(rf'msg="worker started" slot={slot} pid=(\d+)', lines)[-1])


def test_a_worker_that_hangs_is_killed_and_its_uploads_go_on(tmp_path: Path) -> None:
    with Server(tmp_path, FOUR | {"FILELOFT_WORKER_TIMEOUT": "2"}) as server:
        server.wait_for_log("msg=serving workers=4")
        endpoint = Endpoint(server)
        upload = endpoint.create(1000)
        with endpoint.connect() as wire:
            begin_append(endpoint, wire, upload, 1000, b"x" * 100)
            holder = holder_of(server, upload)
            os.kill(holder, signal.SIGSTOP)
            server.wait_for_log(f'msg="worker hangs: killed" slot=. pid={holder}')
            assert end_of(wire) == 0
        assert endpoint.append(upload, 100, b"y" * 900).status == 204
        endpoint.assert_holds(upload, b"x" * 100 + b"y" * 900)
        eventually(lambda: len(workers_of(server.pid)) == 4)
        assert all(endpoint.ask("OPTIONS", "/files/").status == 204 for _ in range(20))


def test_what_is_frozen_as_a_whole_goes_on_where_it_was(tmp_path: Path) -> None:
    """As in a container that is paused: nobody could be heard, and nobody hangs."""
    with Server(tmp_path, FOUR | {"FILELOFT_WORKER_TIMEOUT": "2"}) as server:
        server.wait_for_log("msg=serving workers=4")
        workers = workers_of(server.pid)
        for pid in (server.pid, *workers):
            os.kill(pid, signal.SIGSTOP)
        end = time.monotonic() + 3.0
        eventually(lambda: time.monotonic() > end)
        for pid in (server.pid, *workers):
            os.kill(pid, signal.SIGCONT)
        assert all(Endpoint(server).ask("OPTIONS", "/files/").status == 204 for _ in range(20))
        assert workers_of(server.pid) == workers


def holder_of(server: Server, upload: str) -> int:
    """Return the worker that has the data of *upload* open."""
    path = server.data / upload.rpartition("/")[2]
    return next(pid for pid in workers_of(server.pid) if path in server.open_files(pid))


def test_a_supervisor_that_is_killed_takes_its_workers_with_it(own: Endpoint) -> None:
    workers = workers_of(own.server.pid)
    upload = own.create(1000)
    with own.connect() as wire:
        begin_append(own, wire, upload, 1000, b"x" * 10)
        os.kill(own.server.pid, signal.SIGKILL)
        assert end_of(wire) in {0, 503}
    eventually(lambda: not any(runs(pid) for pid in workers))
    assert own.stored(upload) == b"x" * 10


def test_sigterm_drains_every_worker(own: Endpoint) -> None:
    uploads = [own.create(1000) for _ in range(12)]
    with ExitStack() as stack:
        wires = [stack.enter_context(own.connect()) for _ in uploads]
        for wire, upload in zip(wires, uploads, strict=True):
            begin_append(own, wire, upload, 1000, b"x" * 10)
        # as systemd does it, which tells every process of a service
        workers = workers_of(own.server.pid)
        own.server.terminate()
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        assert {end_of(wire) for wire in wires} == {503}
    assert own.server.wait() == 0
    own.server.assert_clean_log()
    assert all(own.stored(upload) == b"x" * 10 for upload in uploads)


def test_a_stop_in_the_middle_of_the_start_is_a_stop(tmp_path: Path) -> None:
    for moment in ("slot=0", "listening address", "slot=1", "slot=3"):
        server = Server(tmp_path, FOUR)  # it returns when the first worker listens
        server.wait_for_log(moment)
        assert server.stop() == 0, server.log
        server.assert_clean_log()


def test_a_second_sigterm_stops_at_once(tmp_path: Path) -> None:
    server = Server(tmp_path, FOUR | {"FILELOFT_ENABLE_DOWNLOAD": "1"})
    endpoint = Endpoint(server)
    upload = endpoint.finish(b"d" * 20_000_000)
    with endpoint.connect() as wire:
        wire.send(render_request("GET", upload))  # which a drain lets run on
        assert wire.wait_readable(5)
        workers = workers_of(server.pid)
        server.terminate()
        server.wait_for_log("msg=stopping workers=")
        server.terminate()
        assert server.wait() == 128 + signal.SIGTERM
    eventually(lambda: not any(runs(pid) for pid in workers))


def test_wrong_settings_end_all_of_it_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError) as raised:
        Server(tmp_path / "file", FOUR)
    said = [line for line in str(raised.value).splitlines()[1:] if "level=" not in line]
    assert len(said) == 1
    assert said[0].startswith("fileloft-fast: FILELOFT_DATA_DIR: ")


def test_an_address_that_is_taken_stops_the_start(four: Endpoint, tmp_path: Path) -> None:
    host, port = four.server.address
    with pytest.raises(AssertionError, match=r"FILELOFT_BIND: .*in use"):
        Server(tmp_path, FOUR | {"FILELOFT_BIND": f"{host}:{port}"})


def test_an_expired_upload_is_deleted_by_one_worker(tmp_path: Path) -> None:
    settings = {
        "FILELOFT_ENABLE_EXPIRATION": "1",
        "FILELOFT_EXPIRATION_TTL": "1",
        "FILELOFT_SWEEP_INTERVAL": "0.1",
    }
    with Server(tmp_path, FOUR | settings) as server:
        endpoint = Endpoint(server)
        for _ in range(8):
            endpoint.create(10)
        eventually(lambda: not endpoint.uploads())
        removed = re.findall(r"msg=swept removed=(\d+)", "\n".join(server.log))
        assert sum(map(int, removed)) <= 8


def test_workers_share_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Server(tmp_path / "data", FOUR | {"FILELOFT_UNIX_SOCKET": str(path)}) as server:
        server.wait_for_log("msg=serving workers=4")
        assert len(workers_of(server.pid)) == 4
        assert path.is_socket()


def test_uploads_from_many_clients_at_once_through_four_workers(four: Endpoint) -> None:
    content = random.Random(2).randbytes(300_000)
    faults: list[str] = []

    def upload_some() -> None:
        try:
            for _ in range(5):
                upload = four.create(len(content))
                for start in range(0, len(content), 100_000):
                    piece = content[start : start + 100_000]
                    assert four.append(upload, start, piece).status == 204
                four.assert_holds(upload, content)
        except AssertionError as fault:
            faults.append(repr(fault))

    clients = [threading.Thread(target=upload_some) for _ in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert not faults
