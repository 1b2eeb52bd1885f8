"""The load client and time: rates, latencies, timeouts, and a run that is ended."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.dataplane.load import Load, Step
from tests.native.scripted import OK, Peer, Serve, always, head, run, serving, step

if TYPE_CHECKING:
    import socket

STALL_S = 1.0


def stalling_once() -> Serve:
    """Answer at once, but stop everything for a second with the fiftieth request."""
    lock = threading.Lock()
    count = [0]

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        while peer.read_request() is not None:
            with lock:  # the others wait as well
                count[0] += 1
                if count[0] == 50:
                    threading.Event().wait(STALL_S)
            sock.sendall(OK)

    return serve


def test_a_stall_delays_all_units_that_were_due_in_it() -> None:
    with serving(stalling_once()) as server:
        address = server.listener.getsockname()
        load = Load(address, [[step()]], units=250, connections=4, rate=100.0)
        load.run()
    whole = load.unit_histogram
    assert (load.failures, whole.count) == ({}, 250)
    # units were due each 10 ms of the second: their latencies go evenly from 1 s down to nothing
    late = [sum(n for upper, n in whole.buckets() if upper > edge) for edge in (0.1, 0.3, 0.5, 0.9)]
    for found, expected in zip(late, (90, 70, 50, 10), strict=True):
        assert found >= expected - 8, late  # what else the machine does makes more of them late
    assert whole.max_s >= STALL_S * 0.99
    assert load.seconds >= 2.4


def test_a_closed_loop_sees_a_stall_once_a_connection() -> None:
    with serving(stalling_once()) as server:
        load = run(server, step(), units=250)
    late = sum(n for upper, n in load.unit_histogram.buckets() if upper > 0.3)
    assert late == 1


def test_units_begin_when_they_are_due() -> None:
    with serving(always()) as server:
        address = server.listener.getsockname()
        load = Load(address, [[step()]], units=300, connections=8, rate=1000.0, threads=2)
        load.run()
    assert load.failures == {}
    assert 0.299 <= load.seconds <= 3
    assert load.unit_histogram.percentile(50) < 0.2


def test_steps_count_from_the_answer_before() -> None:
    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        for wait_s in (0.0, 0.4, 0.0, 0.4):
            peer.read_request()
            threading.Event().wait(wait_s)
            sock.sendall(OK)

    with serving(serve) as server:
        load = run(server, step(), step(), units=2)
    assert load.histogram(0).max_s < 0.39
    assert load.histogram(1).min_s >= 0.4
    both = load.histogram(0).mean_s + load.histogram(1).mean_s
    assert load.unit_histogram.mean_s == pytest.approx(both, rel=1e-6)


def silent(sock: socket.socket) -> None:
    while sock.recv(1000):
        pass


def drip(sock: socket.socket) -> None:
    Peer(sock).read_request()
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        sock.sendall(b"x")
        threading.Event().wait(0.01)


def deaf(sock: socket.socket) -> None:
    sock.recv(1)
    threading.Event().wait(1)


@pytest.mark.parametrize(("how", "size"), [(silent, 0), (drip, 0), (deaf, 30_000_000)])
def test_a_step_that_does_not_go_on_ends(how: Serve, size: int) -> None:
    with serving(how) as server:
        start = time.monotonic()
        load = run(server, step(200, "PUT /", bytes(size)), units=2, timeout_s=0.3)
        assert time.monotonic() - start >= 0.6
    assert load.failures == {"timeout": 2}
    assert load.reconnects == 1


def test_a_step_that_goes_on_may_last() -> None:
    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        peer.read_request()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(10):
            threading.Event().wait(0.15)
            sock.sendall(bytes(100_000))

    with serving(serve) as server:
        assert run(server, step(200), timeout_s=1.2).failures == {}


def test_a_paced_body_may_last() -> None:
    slow = Step(
        head("PUT /", "Content-Length: 12"), 204, body=b"x" * 12, piece_bytes=1, interval_s=0.12
    )
    with serving(always()) as server:
        load = run(server, slow, timeout_s=1.0)
    assert load.failures == {}
    assert load.seconds > 1.2


def test_cancel_ends_a_run_within_milliseconds() -> None:
    with serving(silent) as server:
        address = server.listener.getsockname()
        load = Load(address, [[step()]], units=100, connections=10, threads=2)
        thread = threading.Thread(target=load.run)
        thread.start()
        while server.connections < 10:
            time.sleep(0.001)
        start = time.monotonic()
        load.cancel()
        thread.join()
        assert time.monotonic() - start < 2
    assert (load.units_done, load.failures) == (0, {})


def test_a_run_that_was_cancelled_before_does_not_begin() -> None:
    with serving(always()) as server:
        load = Load(server.listener.getsockname(), [[step()]], units=9, connections=1)
        load.cancel()
        load.run()
    assert load.units_done == 0


def test_a_signal_ends_the_run_and_its_exception_goes_on() -> None:
    def stop(_number: int, _frame: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with serving(silent) as server:
            load = Load(server.listener.getsockname(), [[step()]], units=9, connections=1)
            start = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(InterruptedError):
                load.run()
            assert time.monotonic() - start < 5
    finally:
        signal.signal(signal.SIGALRM, before)


def test_progress_can_be_read_while_it_runs() -> None:
    gate = threading.Event()

    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        for _ in range(3):
            peer.read_request()
            sock.sendall(OK)
        gate.wait(10)

    with serving(serve) as server:
        load = Load(
            server.listener.getsockname(), [[step(204, "PUT /", b"1234")]], units=9, connections=1
        )
        thread = threading.Thread(target=load.run)
        thread.start()
        while load.units_done < 3 or load.bytes_sent < 16:
            time.sleep(0.001)
        assert (load.units_done, load.bytes_sent, load.bytes_received) == (3, 16, 0)
        gate.set()
        load.cancel()
        thread.join()
