"""TLS with several workers: each reads a renewed certificate; an upgrade breaks no connection."""

from __future__ import annotations

import shutil
import signal
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.certificates import Authority
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.wire import NoAnswerError, Wire, render_request
from tests.workers.load import Load
from tests.workers.upgradable import Upgradable

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = render_request("OPTIONS", "/files/")


def speaks(server: Server, context: ssl.SSLContext) -> bool:
    """Return whether a request can be made with *context*, whichever worker it comes to."""
    try:
        with Wire(server.address, 10.0, context) as wire:
            return wire.ask(OPTIONS).status == 204
    except (ssl.SSLError, ConnectionError, NoAnswerError):
        return False


def test_every_worker_serves_a_renewed_certificate(tmp_path: Path) -> None:
    before, after = Authority.made(tmp_path / "before"), Authority.made(tmp_path / "after")
    live = before.issue()
    settings = {"FILELOFT_WORKERS": "4", **live.settings()}
    with Server(tmp_path / "data", settings, tls=before.client()) as server:
        server.wait_for_log("msg=serving workers=4")
        renewed = after.issue()
        shutil.copy(renewed.certificate, live.certificate)
        shutil.copy(renewed.key, live.key)
        server.send(signal.SIGHUP)
        eventually(lambda: sum("certificate renewed" in line for line in server.log) >= 4)
        assert all(speaks(server, after.client()) for _ in range(16))
        assert not any(speaks(server, before.client()) for _ in range(8))


@pytest.mark.parametrize("workers", ["1", "4"])
def test_no_request_over_tls_fails_while_the_server_is_upgraded(
    workers: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    settings = {
        "FILELOFT_WORKERS": workers,
        "FILELOFT_SHUTDOWN_TIMEOUT": "5",
        **authority.issue().settings(),
    }
    with Upgradable(tmp_path / "data", settings, tls=authority.client()) as server:
        load = Load(Endpoint(server), rate=60, streams=2, stream_bytes=300_000, stream_s=1.0)
        try:
            eventually(lambda: load.small > 40)
            assert server.upgrade() == 0
            enough = load.small + 40
            eventually(lambda: load.small > enough)
        finally:
            load.stop()
        assert not load.faults
