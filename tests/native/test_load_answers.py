"""What the load client makes of answers: where they end, what they say, what is broken."""

from __future__ import annotations

import socket
import struct
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fileloft_fast.dataplane.load import Step
from tests.native.scripted import OK, Peer, Serve, always, head, run, saying, serving, step

WHOLE: Final = [
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",  # a 204 has no body whatever it says
    b"HTTP/1.1 204\r\nX: y\r\n\r\n",
    b"HTTP/1.1 204 No Content\nX: y\n\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 102 W\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n",
]
WHOLE_200: Final = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-LENGTH:   5\t\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'A;name="v\xc3"\r\n0123456789\r\n001 \r\nx\r\n00\r\nTrailer: x\r\nOther: y\r\n\r\n'
    ),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000),
    b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"16E360\r\n" + bytes(1_500_000) + b"\r\n7a120\r\n" + bytes(500_000) + b"\r\n0\r\n\r\n",
]
ENDING: Final = [  # a connection ends with them
    b"HTTP/1.1 200 OK\r\nConnection: foo, CLOSE\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\n\r\nup to the end",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nup to the end",
    (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\nx\r\n0\r\n\r\n"
    ),
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n",
]
BROKEN: Final = [
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/2 204\r\n\r\n",
    b"HTTP/1.1 20 No\r\n\r\n",
    b"HTTP/1.1 2O4 No\r\n\r\n",
    b"HTTP/1.1 2045 No\r\n\r\n",
    b"HTTP/1.1 600 No\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\n\r\n",
    b"HTTP/1.1 204 No\r\nno colon\r\n\r\n",
    b"HTTP/1.1 204 No\r\n: nameless\r\n\r\n",
    b"HTTP/1.1 204 No\r\nA: b\r\n folded\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0;" + b"x" * 20_000,
    b"HTTP/1.1 204 No\r\nA: " + b"x" * 20_000,
    b"HTTP/1.1 204 No\r\nA: " + b"x" * 16_384 + b"\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 400_000,
]


def status(answer: bytes) -> int:
    return 204 if b" 204" in answer else 200


@pytest.mark.parametrize("answer", WHOLE + WHOLE_200)
def test_an_answer_ends_where_it_does_and_its_connection_goes_on(answer: bytes) -> None:
    with serving(always(answer)) as server:
        load = run(server, step(status(answer)), units=3)
        assert (load.failures, load.first_failure, load.reconnects) == ({}, b"", 0)
        assert server.connections == 1
        assert load.unit_histogram.count == 3


@pytest.mark.parametrize("answer", ENDING)
def test_an_answer_that_ends_its_connection_is_followed_by_another(answer: bytes) -> None:
    with serving(saying(answer)) as server:
        load = run(server, step(200), step(200), units=2)
        assert (load.failures, load.reconnects) == ({}, 3)


@pytest.mark.parametrize("answer", BROKEN)
def test_what_is_no_answer_is_told(answer: bytes) -> None:
    with serving(saying(answer)) as server:
        load = run(server, step(status(answer)), units=2)
    assert load.failures == {"bad answer": 2}
    # of megabytes of interim answers nothing was kept
    assert load.first_failure[:10] in (answer[:10], b"bad answer")


def test_a_head_has_no_body_whatever_its_answer_says() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\nUpload-Offset: 12\r\n\r\n"
    with serving(always(answer)) as server:
        load = run(server, Step(head("HEAD /x"), 200, offset=12), units=3)
        assert (load.failures, load.reconnects, load.bytes_received) == ({}, 0, 0)
        load = run(server, Step(head("HEAD /x"), 200, offset=13))
        assert (load.failures, load.first_failure) == ({"step 0: offset": 1}, answer)


def test_bodies_are_counted() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with serving(always(answer)) as server:
        load = run(server, step(200, "POST /", b"seven b"), units=5)
    assert (load.bytes_sent, load.bytes_received) == (35, 15)


def test_another_status_ends_the_unit_and_not_the_connection() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
    with serving(always(answer)) as server:
        load = run(server, step(204), step(204), units=4)
    assert (load.failures, load.reconnects, load.units_done) == ({"step 0: 503": 4}, 0, 4)
    assert load.first_failure == answer[:-4]
    assert load.unit_histogram.count == load.histogram(0).count == 0


def ending(how: Serve) -> Serve:
    def serve(sock: socket.socket) -> None:
        Peer(sock).read_request()
        how(sock)

    return serve


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")


def short(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")


@pytest.mark.parametrize(
    ("how", "what"),
    [
        (lambda _: None, "closed"),
        (half, "closed"),
        (short, "closed"),
        (reset, "reset"),
    ],
)
def test_a_connection_that_ends_in_an_answer_is_told(how: Serve, what: str) -> None:
    with serving(ending(how)) as server:
        load = run(server, step(200), units=3)
        assert (load.failures, load.units_done) == ({what: 3}, 3)


def test_a_connection_that_was_closed_between_units_is_replaced() -> None:
    with serving(saying(OK, OK)) as server:
        load = run(server, step(), units=9)
        assert load.failures == {}
        assert load.reconnects == server.connections - 1 == 4


def test_an_answer_before_the_body_was_sent_is_a_failure() -> None:
    def serve(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        while sock.recv(1 << 20):
            pass

    def refuse(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    body = bytes(50_000_000)
    for how in (serve, refuse):
        with serving(how) as server:
            load = run(server, step(204, "POST /", body), units=2)
        assert load.failures == {"step 0: 413 early": 2}
        assert load.first_failure.startswith(b"HTTP/1.1 413")


def test_an_interim_answer_before_the_body_was_sent_is_none() -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        peer = Peer(sock)
        while peer.read_request() is not None:
            sock.sendall(OK)

    with serving(serve) as server:
        assert run(server, step(204, "POST /", bytes(20_000_000)), units=2).failures == {}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(WHOLE + WHOLE_200[:-3]), min_size=1, max_size=4), st.data())
def test_an_answer_does_not_depend_on_how_the_network_cuts_it(
    answers: list[bytes], data: st.DataObject
) -> None:
    cuts = [sorted(data.draw(st.sets(st.integers(1, len(a)), max_size=9))) for a in answers]

    def serve(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock)
        for answer, places in zip(answers, cuts, strict=True):
            peer.read_request()
            for start, end in zip([0, *places], [*places, len(answer)], strict=True):
                sock.sendall(answer[start:end])
        peer.read_request()

    with serving(serve) as server:
        load = run(server, *(step(status(answer)) for answer in answers))
        assert (load.failures, load.first_failure, load.reconnects) == ({}, b"", 0)


def mutated(answer: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    for place, piece in changes:
        at = place % (len(answer) + 1)
        answer = answer[:at] + piece + answer[at + len(piece) // 2 :]
    return answer


TOKENS: Final = [
    *(b"\r\n", b"\r\n\r\n", b"\n", b":", b" ", b"\0", b"//", b"HTTP/1.1 ", b"chunked", b"0\r\n"),
    *(b"Transfer-Encoding: chunked", b"Content-Length: 99999", b"Location: ", b"ffffffff\r\n"),
]
ODD: Final = st.one_of(st.binary(max_size=40), st.sampled_from(TOKENS))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([a for a in WHOLE + WHOLE_200 + ENDING + BROKEN if len(a) < 1000] + [b""]),
    st.lists(st.tuples(st.integers(0, 1000), ODD), max_size=6),
    st.lists(st.integers(1, 1000), max_size=5),
)
def test_no_server_can_break_or_hang_it(
    answer: bytes, changes: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    said = mutated(answer, changes)

    def serve(sock: socket.socket) -> None:
        sock.settimeout(0.2)
        peer = Peer(sock)
        peer.read_request()
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(said)], strict=True):
            sock.sendall(said[start:end])

    with serving(serve) as server:
        keeping = Step(head("POST /a/b?c"), 200, keeps_location=True)
        load = run(server, keeping, step(200, "GET {location}"), units=2, timeout_s=2)
    assert load.units_done == 2
    assert sum(load.failures.values()) + load.unit_histogram.count == 2
