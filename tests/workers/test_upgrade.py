"""SIGUSR2: a new process takes the sockets over, and no request notices (ADR 0015)."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conformance.append import begin_append, end_of
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.wire import OCTETS, render_request
from tests.workers.load import Load
from tests.workers.upgradable import Upgradable, runs

if TYPE_CHECKING:
    from pathlib import Path


DRAIN_S = 3


@pytest.fixture(params=["1", "4"], ids=["alone", "workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgradable]:
    """Return a server, alone or of four workers."""
    settings = {
        "FILELOFT_WORKERS": request.param,
        "FILELOFT_SHUTDOWN_TIMEOUT": str(DRAIN_S),
        "FILELOFT_ENABLE_DOWNLOAD": "1",
    }
    with Upgradable(tmp_path, settings) as server:
        if request.param != "1":
            server.wait_for_log("msg=serving")
        yield server


def test_another_process_serves_at_the_same_address_and_the_old_one_ends(
    server: Upgradable,
) -> None:
    endpoint = Endpoint(server)
    upload = endpoint.create_holding(b"x" * 10, 20)
    old = server.pid
    for _ in range(2):
        assert server.upgrade() == 0
        assert endpoint.offset(upload) == 10
    assert server.pid != old
    assert not runs(old)
    assert endpoint.append(upload, 10, b"y" * 10).status == 204
    endpoint.assert_holds(upload, b"x" * 10 + b"y" * 10)


def test_no_request_fails_under_load(server: Upgradable) -> None:
    """benchmarks/upgrade.py does it at full scale."""
    load = Load(Endpoint(server), rate=100, streams=3, stream_bytes=400_000, stream_s=1.0)
    try:
        for _ in range(2):
            enough = load.small + 50
            eventually(lambda enough=enough: load.small > enough)  # type: ignore[misc]
            assert server.upgrade() == 0
    finally:
        load.stop()
    assert not load.faults
    assert load.streamed


def test_a_connection_that_was_idle_has_its_next_request_answered(server: Upgradable) -> None:
    endpoint = Endpoint(server)
    upload = endpoint.create(10)
    with endpoint.connect() as wire:
        assert wire.ask(render_request("OPTIONS", "/files/")).status == 204
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log("msg=stopping connections=1")
        fields = {"Upload-Offset": "0", "Content-Type": OCTETS}
        answer = wire.ask(render_request("PATCH", upload, fields, b"x" * 10))
        assert answer.status == 204
        assert answer.closes
    server.follow()


def test_a_pipeline_is_answered_to_its_end(server: Upgradable) -> None:
    endpoint = Endpoint(server)
    with endpoint.connect() as wire:
        assert wire.ask(render_request("OPTIONS", "/files/")).status == 204
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log("msg=stopping connections=1")
        wire.send(render_request("OPTIONS", "/files/") * 5)
        answers = [wire.read() for _ in range(5)]
        assert [answer.closes for answer in answers] == [False] * 4 + [True]
    server.follow()


def test_a_body_that_takes_too_long_ends_with_503_and_keeps_its_bytes(server: Upgradable) -> None:
    endpoint = Endpoint(server)
    upload = endpoint.create(1000)
    with endpoint.connect() as wire:
        begin_append(endpoint, wire, upload, 1000, b"x" * 100)
        started = time.monotonic()
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log("msg=stopping")
        wire.send(b"y" * 100)
        eventually(lambda: endpoint.offset(upload) == 200)
        assert end_of(wire) == 503
        assert time.monotonic() - started > DRAIN_S
    server.follow()
    assert endpoint.append(upload, 200, b"z" * 800).status == 204


def test_an_upload_is_taken_over_from_the_old_process(server: Upgradable) -> None:
    endpoint = Endpoint(server)
    upload = endpoint.create(1000)
    with endpoint.connect() as wire:
        begin_append(endpoint, wire, upload, 1000, b"x" * 100)
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log("msg=stopping")
        started = time.monotonic()
        assert endpoint.append(upload, 100, b"y" * 900).status == 204
        assert time.monotonic() - started < DRAIN_S - 0.5  # when the old one would end it
        assert end_of(wire) in {0, 423}
    server.follow()
    endpoint.assert_holds(upload, b"x" * 100 + b"y" * 900)


def test_sigterm_ends_an_upgrade_that_goes_on(server: Upgradable) -> None:
    endpoint = Endpoint(server)
    upload = endpoint.create(1000)
    with endpoint.connect() as wire:
        begin_append(endpoint, wire, upload, 1000, b"x" * 100)
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log("msg=stopping")
        started = time.monotonic()
        server.terminate()
        assert end_of(wire) == 503
        assert time.monotonic() - started < DRAIN_S - 0.5
    server.follow()


def test_a_successor_that_cannot_start_changes_nothing(tmp_path: Path) -> None:
    """The new process finds the program broken: the old one goes on."""
    package = tmp_path / "path" / "msgspec"
    with Upgradable(
        tmp_path / "data", {"PYTHONPATH": str(package.parent), "FILELOFT_WORKERS": "2"}
    ) as server:
        server.wait_for_log("msg=serving")
        package.mkdir(parents=True)
        package.joinpath("__init__.py").write_text("raise SystemExit(3)")
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log('msg="upgrade failed: going on"')
        assert Endpoint(server).ask("OPTIONS", "/files/").status == 204
        shutil.rmtree(package)
        assert server.upgrade() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_stops_the_service_and_not_only_its_old_half(workers: str, tmp_path: Path) -> None:
    """The new process does not come up; nobody would ever stop it."""
    package = tmp_path / "path" / "msgspec"
    with Upgradable(
        tmp_path / "data", {"PYTHONPATH": str(package.parent), "FILELOFT_WORKERS": workers}
    ) as server:
        if workers != "1":
            server.wait_for_log("msg=serving")
        package.mkdir(parents=True)
        package.joinpath("__init__.py").write_text("import signal; signal.pause()")
        os.kill(server.pid, signal.SIGUSR2)
        successor = int(server.wait_for_log(r"msg=upgrading successor=(\d+)")[1])
        os.kill(server.pid, signal.SIGUSR2)
        server.wait_for_log('msg="upgrading already"')
        assert Endpoint(server).ask("OPTIONS", "/files/").status == 204
        assert server.stop() == 0
        eventually(lambda: not runs(successor))
