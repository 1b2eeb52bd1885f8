"""Two servers in one data directory: what one of them holds, the other takes over (ADR 0014)."""

from __future__ import annotations

import random
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
from tests.server import Server
from tests.wire import CHUNKED, OCTETS, render_request

if TYPE_CHECKING:
    from pathlib import Path

HAND_OVER_S = 0.1  # issue 5: the bar of the hand-over


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Endpoint, Endpoint]]:
    """Return two servers that work in one directory."""
    data = tmp_path_factory.mktemp("shared")
    settings = {"FILELOFT_BODY_TIMEOUT": "30"}
    with Server(data, settings) as one, Server(data, settings) as other:
        yield Endpoint(one), Endpoint(other)


def test_the_next_patch_takes_over_from_one_that_stalls_elsewhere(
    pair: tuple[Endpoint, Endpoint],
) -> None:
    one, other = pair
    times = []
    for _ in range(5):
        upload = one.create(1000)
        with one.connect() as stalled:
            begin_append(one, stalled, upload, 1000, b"a" * 400)
            started = time.monotonic()
            answer = other.append(upload, 400, b"b" * 600)
            times.append(time.monotonic() - started)
            assert (answer.status, answer["Upload-Offset"]) == (204, "1000")
            stalled.send_pieces([b"A" * 600])
            assert end_of(stalled) in {0, 423}
        other.assert_holds(upload, b"a" * 400 + b"b" * 600)
    assert min(times) < HAND_OVER_S, times


def test_head_elsewhere_is_exact_and_quick_while_the_holder_stalls(
    pair: tuple[Endpoint, Endpoint],
) -> None:
    one, other = pair
    upload = one.create(1_000_000)
    with one.connect() as stalled, other.connect() as asking:
        begin_append(one, stalled, upload, 1_000_000, b"x" * 10)
        sent, times = 10, []
        for number in range(20):
            stalled.send(b"x" * (1000 + number))
            sent += 1000 + number
            started = time.monotonic()
            asking.send(render_request("HEAD", upload))
            answer = asking.read(head=True)
            times.append(time.monotonic() - started)
            assert int(answer["Upload-Offset"]) == sent
    assert statistics.median(times) < HAND_OVER_S, times


def test_no_byte_comes_after_the_offset_that_head_has_told(
    pair: tuple[Endpoint, Endpoint],
) -> None:
    """A chunked body that goes on: who resumes where HEAD says is not refused with 409."""
    one, other = pair
    for _ in range(5):
        upload = one.create(10_000_000)
        fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
        with one.connect() as wire:
            piece = b"8000\r\n" + b"x" * 32_768 + b"\r\n"
            wire.send(render_request("PATCH", upload, fields, piece))
            eventually(lambda: one.stored(upload))  # noqa: B023 - called at once
            wire.send(piece * 40)
            offset = other.offset(upload)
            assert other.append(upload, offset, b"y").status == 204
        assert other.offset(upload) == offset + 1


def test_a_row_of_takeovers_between_two_servers_loses_nothing(
    pair: tuple[Endpoint, Endpoint],
) -> None:
    upload = pair[0].create(1000)
    wires = []
    content = b""
    for number in range(12):
        endpoint = pair[number % 2]
        wires.append(endpoint.connect())
        piece = bytes([65 + number]) * 10
        begin_append(endpoint, wires[-1], upload, 1000 - len(content), piece, offset=len(content))
        content += piece
    for wire in wires[:-1]:
        assert end_of(wire) in {0, 423}
    for wire in wires:
        wire.socket.close()
    pair[1].assert_holds(upload, content)


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_two_patches_at_once_never_interleave(pair: tuple[Endpoint, Endpoint], size: int) -> None:
    for _ in range(10):
        upload = pair[0].create(size)
        statuses = race(pair, upload, size)
        assert set(statuses.values()) <= {0, 204, 409, 413, 423}
        content = pair[0].stored(upload)
        assert content in {b"a" * len(content), b"b" * len(content)}
        for letter, status in statuses.items():
            if status == 204:
                assert content == letter * size
        pair[0].assert_holds(upload, content)


def race(pair: tuple[Endpoint, Endpoint], upload: str, size: int) -> dict[bytes, int]:
    """PATCH *size* letters through both at the same time; return the statuses."""
    together = threading.Barrier(2)
    statuses: dict[bytes, int] = {}

    def run(endpoint: Endpoint, letter: bytes) -> None:
        request = endpoint.render_append(upload, 0, letter * size)
        with endpoint.connect() as wire:
            together.wait()
            wire.send_pieces([request])
            statuses[letter] = end_of(wire)

    racers = [
        threading.Thread(target=run, args=each) for each in zip(pair, (b"a", b"b"), strict=True)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return statuses


def test_delete_elsewhere_ends_a_running_patch(pair: tuple[Endpoint, Endpoint]) -> None:
    one, other = pair
    upload = one.create(1000)
    with one.connect() as wire:
        begin_append(one, wire, upload, 1000, b"x" * 400)
        assert other.ask("DELETE", upload).status == 204
        wire.send_pieces([b"y" * 600])
        assert end_of(wire) in {0, 404, 410, 423}
    one.assert_gone(upload)


def test_what_a_killed_server_held_is_free_at_once(tmp_path: Path) -> None:
    content = random.Random(0).randbytes(2_000_000)
    with Server(tmp_path) as stays:
        killed = Server(tmp_path)
        endpoint, other = Endpoint(killed), Endpoint(stays)
        upload = endpoint.create(len(content))
        with endpoint.connect() as wire:
            begin_append(endpoint, wire, upload, len(content), content[:1_000_000])
            killed.kill()
            started = time.monotonic()
            offset = other.offset(upload)
            assert time.monotonic() - started < 10 * HAND_OVER_S
        assert offset == 1_000_000
        assert other.append(upload, offset, content[offset:]).status == 204
        other.assert_holds(upload, content)


def test_one_of_two_servers_sweeps_and_the_other_one_when_that_is_gone(tmp_path: Path) -> None:
    settings = {
        "FILELOFT_ENABLE_EXPIRATION": "1",
        "FILELOFT_EXPIRATION_TTL": "1",
        "FILELOFT_SWEEP_INTERVAL": "0.1",
    }
    with Server(tmp_path, settings) as one, ExitStack() as stack:
        other = stack.enter_context(Server(tmp_path, settings))
        for endpoint in (Endpoint(one), Endpoint(other)):
            endpoint.create(10)
        eventually(lambda: any("msg=swept" in line for each in (one, other) for line in each.log))
        eventually(lambda: not Endpoint(one).uploads())
        swept = [any("msg=swept" in line for line in each.log) for each in (one, other)]
        assert sorted(swept) == [False, True]
        first, second = (one, other) if swept[0] else (other, one)
        first.stop()
        Endpoint(second).create(10)
        second.wait_for_log("msg=swept")
        eventually(lambda: not Endpoint(second).uploads())
