"""SIGTERM and SIGKILL: what is under way ends in time, and what was stored is kept (T079)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.conformance.append import begin_append, end_of
from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet

BIG = 40_000_000
SWEEPING = {"ENABLE_EXPIRATION": "1", "EXPIRATION_TTL": "3600", "SWEEP_INTERVAL": "0.001"}


def test_the_bytes_of_running_requests_are_kept(fleet: Fleet) -> None:
    """T079: 503 or a closed connection, soon, and the next process has the exact offset."""
    first = fleet.start(SHUTDOWN_TIMEOUT="5")
    endpoint = Endpoint(first)
    plain_upload = endpoint.create(1_000_000)
    chunked_upload = endpoint.create(1_000_000)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
    with endpoint.connect() as plain_wire, endpoint.connect() as chunked_wire:
        begin_append(endpoint, plain_wire, plain_upload, 1_000_000, b"p" * 123_456)
        chunk = b"10000\r\n" + b"c" * 50_000
        chunked_wire.send(render_request("PATCH", chunked_upload, fields, chunk))
        eventually(lambda: endpoint.offset(chunked_upload) == 50_000)
        first.terminate()
        for wire in (plain_wire, chunked_wire):
            assert end_of(wire) in {0, 503}
    assert first.wait() == 0
    first.assert_clean_log()
    with fleet.restart(first) as second:
        again = Endpoint(second)
        again.assert_holds(plain_upload, b"p" * 123_456)
        again.assert_holds(chunked_upload, b"c" * 50_000)
        rest = b"r" * 950_000
        assert again.append(chunked_upload, 50_000, rest).status == 204
        again.assert_holds(chunked_upload, b"c" * 50_000 + rest)


@pytest.mark.parametrize("kills", [False, True], ids=["stopped", "killed"])
@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_chunk_that_was_not_verified_is_not_there_again(
    fleet: Fleet, size: int, *, kills: bool
) -> None:
    """T146 and T079: neither in HEAD nor on the disk."""
    first = fleet.start()
    endpoint = Endpoint(first)
    upload = endpoint.create_holding(b"kept", 5_000_004)
    fields = {
        "Upload-Offset": "4",
        "Content-Type": OCTETS,
        "Content-Length": "5000000",
        "Upload-Checksum": checksum("sha1", b"x" * 5_000_000),
    }
    with endpoint.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))
        wire.send(b"x" * size)
        assert endpoint.offset(upload) == 4
        if kills:
            first.kill()
        else:
            first.terminate()
            assert end_of(wire) in {0, 503}
    first.wait()
    with fleet.restart(first) as second:
        again = Endpoint(second)
        assert again.offset(upload) == 4
        right = {"Upload-Checksum": checksum("sha1", b"more")}
        assert again.append(upload, 4, b"more", right).status == 204
        again.assert_holds(upload, b"keptmore")


@pytest.mark.parametrize("at_hand", [True, False])
def test_a_length_that_is_declared_after_a_kill_shows_nothing_unverified(
    fleet: Fleet, *, at_hand: bool
) -> None:
    """T146 and T079: the record is written anew while it still marks what the kill left."""
    first = fleet.start()
    endpoint = Endpoint(first)
    upload = endpoint.create(None, body=b"kept")
    wrong = {"Upload-Checksum": checksum("sha1", b"x" * 5_000_000)}
    fields = {"Upload-Offset": "4", "Content-Type": OCTETS, "Content-Length": "5000000"}
    with endpoint.connect() as wire:
        wire.send(render_request("PATCH", upload, fields | wrong))
        wire.send(b"x" * 3_000_000)
        eventually(lambda: endpoint.data_file(upload).stat().st_size > 4)
        first.kill()
    length = {"Upload-Length": "6000000"}
    second = fleet.restart(first)
    again = Endpoint(second)
    if at_hand:
        assert again.append(upload, 4, b"more", length).status == 204
        again.assert_holds(upload, b"keptmore")
    else:
        with again.connect() as wire:
            wire.send(render_request("PATCH", upload, fields | wrong | length))
            eventually(lambda: again.head(upload).get("Upload-Length"))
            again.assert_holds(upload, b"kept")
            wire.send(b"x" * 3_000_000)
            eventually(lambda: again.data_file(upload).stat().st_size > 4)
            assert again.offset(upload) == 4
    second.kill()
    kept = b"keptmore" if at_hand else b"kept"
    with fleet.restart(second) as third:
        last = Endpoint(third)
        assert last.append(upload, len(kept), b"rest").status == 204
        last.assert_holds(upload, kept + b"rest")


def test_what_was_answered_survives_a_kill(fleet: Fleet) -> None:
    """T079: the process is killed, the machine goes on."""
    first = fleet.start(ENABLE_CONCATENATION="1")
    endpoint = Endpoint(first)
    partial = endpoint.finish(b"part", {"Upload-Concat": "partial"})
    final = endpoint.path_of(endpoint.post({"Upload-Concat": f"final;{partial}"}))
    deferred = endpoint.create(None)
    assert endpoint.append(deferred, 0, b"abc", {"Upload-Length": "5"}).status == 204
    deleted = endpoint.create_holding(b"abc", 5)
    assert endpoint.ask("DELETE", deleted).status == 204
    with endpoint.connect() as wire:
        running = endpoint.create(1000)
        begin_append(endpoint, wire, running, 1000, b"r" * 500)
        first.kill()
    with fleet.restart(first) as second:
        again = Endpoint(second)
        again.assert_holds(final, b"part")
        again.assert_holds(partial, b"part")
        assert again.head(deferred)["Upload-Length"] == "5"
        again.assert_holds(deferred, b"abc")
        again.assert_gone(deleted)
        again.assert_holds(running, b"r" * 500)


def test_idle_connections_are_closed_and_no_new_ones_taken(fleet: Fleet) -> None:
    """T079."""
    server = fleet.start()
    endpoint = Endpoint(server)
    upload = endpoint.create(5)
    with endpoint.connect() as idle, endpoint.connect() as silent:
        assert idle.ask(render_request("HEAD", upload)).status == 200
        began = time.monotonic()
        server.terminate()
        idle.assert_silent_end()
        silent.assert_silent_end()
        assert server.wait() == 0
        assert time.monotonic() - began < 9  # a drain may take ten seconds
    with pytest.raises(ConnectionRefusedError):
        endpoint.connect()
    server.assert_clean_log()


def test_a_running_download_may_end(fleet: Fleet) -> None:
    """T079: within FILELOFT_SHUTDOWN_TIMEOUT."""
    server = fleet.start(ENABLE_DOWNLOAD="1", SYNC="none", SHUTDOWN_TIMEOUT="20")
    endpoint = Endpoint(server)
    upload = endpoint.finish(b"d" * BIG)
    with endpoint.connect() as wire:
        wire.send(render_request("GET", upload))
        assert wire.wait_readable(5)
        server.terminate()
        assert wire.read().body == b"d" * BIG
    assert server.wait() == 0
    server.assert_clean_log()


def test_a_download_that_stalls_does_not_hold_the_server_up(fleet: Fleet) -> None:
    """T079."""
    server = fleet.start(ENABLE_DOWNLOAD="1", SYNC="none", SHUTDOWN_TIMEOUT="1")
    endpoint = Endpoint(server)
    upload = endpoint.finish(b"d" * BIG)
    with endpoint.connect() as wire:
        wire.send(render_request("GET", upload))
        assert wire.wait_readable(5)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 20
    server.assert_clean_log()


def test_a_sweep_ends_with_the_server(fleet: Fleet) -> None:
    """A sweep that is in the middle of a large directory ends the process by no signal."""
    server = fleet.start(**SWEEPING)
    for number in range(20_000):
        (server.data / f"other{number}").touch()
    for _ in range(6):
        assert server.stop() == 0, server.log[-3:]
        server.assert_clean_log()
        server = fleet.restart(server)
    assert server.stop() == 0
