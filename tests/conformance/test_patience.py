"""Slow clients: what they are waited for, and what they cost (H49, H50)."""

from __future__ import annotations

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.bench.process import cpu_s
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.wire import CHUNKED, OCTETS, Wire, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet


def trickle(wire: Wire, data: bytes, every_s: float) -> float:
    """Send *data* byte by byte until an answer or the end comes; return the seconds it took."""
    began = time.monotonic()
    for byte in data:
        if wire.wait_readable(every_s):
            break
        wire.send_pieces([bytes([byte])])
    return time.monotonic() - began


@pytest.mark.parametrize("begun", [b"P", b"PATCH /files/ HTTP/1.1\r\nHost: h\r\n"])
def test_a_head_has_to_come_in_time_as_a_whole(hasty: Endpoint, begun: bytes) -> None:
    """H49: each byte does not buy another second."""
    with hasty.connect() as wire:
        wire.send(begun)
        assert trickle(wire, b"X-A: " + b"a" * 1000, 0.05) < 25  # half of what all would take
        answer = wire.read()
        assert answer.status == 408
        assert answer.closes
        wire.assert_silent_end()


def test_a_head_that_stalls_is_408(hasty: Endpoint) -> None:
    """H49."""
    with hasty.connect() as wire:
        wire.send(b"GET /files/x HTTP/1.1\r\n")
        assert wire.read().status == 408
        wire.assert_silent_end()


def test_a_connection_that_says_nothing_is_closed_without_a_word(hasty: Endpoint) -> None:
    """H49: no answer, since nothing was asked; a browser opens such ones ahead of need."""
    with hasty.connect() as wire:
        wire.assert_silent_end()


def test_an_idle_connection_is_closed_without_a_word(hasty: Endpoint) -> None:
    """H49."""
    upload = hasty.create(5)
    with hasty.connect() as wire:
        assert wire.ask(render_request("HEAD", upload)).status == 200
        wire.assert_silent_end()


def test_a_second_head_has_to_come_in_time_too(hasty: Endpoint) -> None:
    """H49."""
    upload = hasty.create(5)
    with hasty.connect() as wire:
        wire.send(render_request("HEAD", upload) + b"GET /files/x HT")
        assert wire.read(head=True).status == 200
        assert wire.read().status == 408
        wire.assert_silent_end()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_below_the_least_rate_is_ended_and_kept(hasty: Endpoint, *, chunked: bool) -> None:
    """H50: on many connections at once."""
    uploads = [hasty.create(10_000) for _ in range(20)]
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS}
    fields |= CHUNKED if chunked else {"Content-Length": "10000"}
    with ExitStack() as stack:
        wires = [stack.enter_context(hasty.connect()) for _ in uploads]
        for wire, upload in zip(wires, uploads, strict=True):
            wire.send(render_request("PATCH", upload, fields, b"2710\r\n" if chunked else b""))
        sent = [0] * len(wires)

        def all_answered() -> bool:
            waiting = [n for n, wire in enumerate(wires) if not wire.wait_readable(0)]
            for number in waiting:
                sent[number] += wires[number].send_pieces([b"x"])
            return not waiting

        eventually(all_answered, every_s=0.1)
        for wire in wires:
            answer = wire.read()
            assert answer.status == 503
            assert answer.closes
    for upload, count in zip(uploads, sent, strict=True):
        offset = hasty.offset(upload)
        assert count - 2 <= offset <= count
        hasty.assert_holds(upload, b"x" * offset)


def test_a_body_at_a_fair_rate_may_take_its_time(fleet: Fleet) -> None:
    """H50: longer than any timeout, as long as it goes on."""
    # Not as hasty as the others: it is this process that has to go on in time.
    patient = fleet.endpoint(HEAD_TIMEOUT="1", BODY_TIMEOUT="3", IDLE_TIMEOUT="1", MIN_RATE="64")
    upload = patient.create(100_000)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "100000"}
    began = time.monotonic()
    sent = 0
    with patient.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))

        def goes_on() -> bool:
            nonlocal sent
            wire.send(b"x" * 20)
            sent += 20
            return time.monotonic() - began > 3.5

        eventually(goes_on, every_s=0.05)
        wire.send(b"x" * (100_000 - sent))
        assert wire.read()["Upload-Offset"] == "100000"
    patient.assert_holds(upload, b"x" * 100_000)


def test_a_checked_body_that_stalls_is_ended_and_discarded(hasty: Endpoint) -> None:
    """H50 and T146."""
    upload = hasty.create(1000)
    fields = {
        "Upload-Offset": "0",
        "Content-Type": OCTETS,
        "Content-Length": "1000",
        "Upload-Checksum": "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
    }
    with hasty.connect() as wire:
        wire.send(render_request("PATCH", upload, fields, b"x" * 300))
        assert wire.read().status == 503
        wire.assert_silent_end()
    hasty.assert_holds(upload, b"")


def test_a_refused_client_is_not_listened_to_for_ever(hasty: Endpoint) -> None:
    """H42: the lingering close has an end."""
    with hasty.connect() as wire:
        wire.send(b"get / HTTP/1.1\r\n")
        assert wire.read().status == 400
        eventually(lambda: not wire.send_pieces([b"x"]), every_s=0.1)


def test_more_connections_than_the_limit_are_told_so(fleet: Fleet) -> None:
    """H50: 503 with Retry-After, and those that are there go on."""
    narrow = fleet.endpoint(MAX_CONNECTIONS="5")
    upload = narrow.create(5)
    with ExitStack() as stack:
        wires = [stack.enter_context(narrow.connect()) for _ in range(5)]
        for wire in wires:
            assert wire.ask(render_request("HEAD", upload)).status == 200
        with narrow.connect() as late:
            answer = late.read()
            assert answer.status == 503
            assert "Retry-After" in answer
            assert answer.closes
        for wire in wires:
            assert wire.ask(render_request("HEAD", upload)).status == 200
    eventually(lambda: narrow.ask("HEAD", upload).status == 200)


def test_a_download_that_nobody_reads_is_ended(fleet: Fleet) -> None:
    """H51: and its file is closed."""
    shop = fleet.endpoint(ENABLE_DOWNLOAD="1", BODY_TIMEOUT="1", SYNC="none")
    content = b"d" * 30_000_000
    upload = shop.finish(content)
    with shop.connect() as wire:
        wire.send(render_request("GET", upload))
        assert wire.wait_readable(5)
        eventually(lambda: shop.data_file(upload) not in shop.server.open_files())
        assert len(wire.read_to_end()) < len(content)
    assert shop.ask("GET", upload).body == content


def test_answers_that_nobody_reads_are_ended(hasty: Endpoint) -> None:
    """H51: the client sends and sends, and reads nothing."""
    request = render_request("OPTIONS", hasty.base) * 100
    before = hasty.server.memory()
    with hasty.connect() as wire:
        sent = wire.send_pieces(request for _ in range(2000))
        assert sent < 2000 * len(request)
    assert hasty.server.memory() - before < 16_000_000
    assert hasty.ask("OPTIONS", hasty.base).status in {200, 204}


def test_one_byte_chunks_do_not_hold_other_clients_up(fleet: Fleet) -> None:
    """Each costs six bytes of the network, and as much work as a large one."""
    with fleet.start() as server, ExitStack() as stack:
        endpoint = Endpoint(server)
        quiet = endpoint.create(5)
        stop = threading.Event()

        def flood(wire: Wire, upload: str) -> None:
            fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
            wire.send(render_request("PATCH", upload, fields))
            while not stop.is_set():
                wire.send(b"1\r\nx\r\n" * 40_000)

        floods = ThreadPoolExecutor(3)
        running = []
        for _ in range(3):
            upload = endpoint.create(1 << 30)
            wire = stack.enter_context(endpoint.connect())
            running.append(floods.submit(flood, wire, upload))
            eventually(lambda name=upload: endpoint.stored(name))  # type: ignore[misc]
        with endpoint.connect() as wire:
            took = []
            for _ in range(21):
                began = cpu_s(server.pid)
                assert wire.ask(render_request("HEAD", quiet)).status == 200
                took.append(cpu_s(server.pid) - began)
        stop.set()
        for each in running:
            each.result(10)
        floods.shutdown()
        # What the server has worked meanwhile, wherever else the machine was busy.
        assert statistics.median(took) < 0.3, took
