"""What the load client sends: targets, bodies, pieces; and how its connections are opened."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Final

import pytest

from fileloft_fast.dataplane.load import Load, Step
from tests.native.scripted import OK, Peer, Serve, always, head, run, serving, step

LOCATIONS: Final = [
    ("/files/1", "/files/1"),
    ("http://host:99/files/1?a=b#c", "/files/1?a=b"),
    ("HTTPS://[::1]/x", "/x"),
    ("http://host", "/"),
    ("http://host?a", "/?a"),
    ("//other/files/%2F%20ä", "/files/%2F%20ä"),
    ("1", "/files/new/1"),
    ("./1?x", "/files/new/1?x"),
    ("/a:b/c", "/a:b/c"),
    ("1/b:c", "/files/new/1/b:c"),
]
NO_LOCATIONS: Final = ["", "#part", "/two words", "/\x01", "x" * 16_300]


def noting(seen: list[tuple[bytes, bytes]], answer: bytes = OK) -> Serve:
    def serve(sock: socket.socket) -> None:
        peer = Peer(sock)
        while (request := peer.read_request()) is not None:
            seen.append(request)
            sock.sendall(answer)

    return serve


def created(location: str) -> bytes:
    return f"HTTP/1.1 201 C\r\nlocation:  {location} \r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(("location", "target"), LOCATIONS)
def test_a_location_is_where_the_next_request_goes(location: str, target: str) -> None:
    seen: list[tuple[bytes, bytes]] = []
    with serving(noting(seen, created(location))) as server:
        keeping = Step(head("POST /files/new/?a=/b"), 201, keeps_location=True)
        load = run(server, keeping, Step(head("PATCH {location}", "X: y"), 201), units=2)
    assert load.failures == {}
    assert [first.split(b" ")[1] for first, _ in seen[1::2]] == [target.encode()] * 2


@pytest.mark.parametrize("location", NO_LOCATIONS)
def test_what_is_no_location_is_told(location: str) -> None:
    with serving(always(created(location))) as server:
        post = head("POST /" + "d" * 200 + "/")  # with it the longest is longer than a head may be
        load = run(server, Step(post, 201, keeps_location=True), units=2)
    assert load.failures == {"no location": 2}


def test_a_relative_location_goes_on_from_the_one_before() -> None:
    seen: list[tuple[bytes, bytes]] = []
    with serving(noting(seen, created("b/c"))) as server:
        keeping = Step(head("POST /a/"), 201, keeps_location=True)
        again = Step(head("POST {location}"), 201, keeps_location=True)
        assert run(server, keeping, again, Step(head("GET {location}"), 201)).failures == {}
    assert [first.split(b" ")[1] for first, _ in seen] == [b"/a/", b"/a/b/c", b"/a/b/b/c"]


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 25_000_000])
def test_a_file_is_sent_from_its_beginning_again_at_its_end(tmp_path: Path, length: int) -> None:
    contents = os.urandom(1000 if length < 2000 else 7_000_000)
    source = tmp_path / "source"
    source.write_bytes(contents)
    seen: list[tuple[bytes, bytes]] = []
    with serving(noting(seen)) as server, source.open("rb") as file:
        first = head("PUT /", f"Content-Length: {length}")
        asked = Step(first, 204, file=file.fileno(), start=3, length=length)
        assert run(server, asked).failures == {}
    assert seen[0][1] == (contents * 4)[3 : 3 + length]


def test_a_file_that_was_cut_is_told(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(1000))
    with serving(always()) as server, source.open("r+b") as file:
        asked = Step(head("PUT /", "Content-Length: 9"), 204, file=file.fileno(), length=9)
        file.truncate(5)
        load = run(server, asked)
    assert load.failures == {"file": 1}


def test_units_take_scripts_in_turns() -> None:
    seen: list[tuple[bytes, bytes]] = []
    with serving(noting(seen)) as server:
        scripts = [[step(204, "GET /a")], [step(204, "GET /b"), step(204, "GET /c")]]
        load = Load(server.listener.getsockname(), scripts, units=4, connections=1)
        load.run()
    assert [first[5:6] for first, _ in seen] == [b"a", b"b", b"c", b"a", b"b", b"c"]
    assert (load.histogram(0).count, load.histogram(1).count) == (4, 2)


@pytest.mark.parametrize("from_file", [False, True])
def test_a_paced_body_goes_in_pieces(tmp_path: Path, *, from_file: bool) -> None:
    times: list[float] = []
    content = os.urandom(500)

    def serve(sock: socket.socket) -> None:
        got = b""
        while not got.endswith(content):
            got += sock.recv(1000)
            times.append(time.monotonic())
        sock.sendall(OK)

    path = tmp_path / "body"
    path.write_bytes(content)
    with serving(serve) as server, path.open("rb") as file:
        body: dict[str, Any] = {"body": content}
        if from_file:
            body = {"file": file.fileno(), "length": len(content)}
        first = head("PUT /", "Content-Length: 500")
        load = run(server, Step(first, 204, **body, piece_bytes=100, interval_s=0.05))
    assert load.failures == {}
    # head and first piece may come in two segments, and two pieces at once where the reader is late
    assert 4 <= len(times) <= 6
    assert times[-1] - times[0] >= 0.15


def test_a_thousand_slow_bodies_cost_little_and_are_whole() -> None:
    bodies: list[bytes] = []
    pieces = 20

    def serve(sock: socket.socket) -> None:
        request = Peer(sock).read_request()
        bodies.append(request[1] if request else b"")
        sock.sendall(OK)

    # a hundred here, as the server has a thread for each; the tool's own cost is in ADR 0025
    content = os.urandom(pieces * 10)
    with serving(serve) as server:
        first = head("PUT /", f"Content-Length: {len(content)}", "Connection: close")
        slow = Step(first, 204, body=content, piece_bytes=10, interval_s=0.05)
        load = Load(server.listener.getsockname(), [[slow]], units=100, connections=100)
        load.run()
    assert load.failures == {}
    assert bodies == [content] * 100
    assert (pieces - 2) * 0.05 <= load.unit_histogram.min_s
    assert load.seconds < pieces * 0.05 * 3


def test_unix_sockets_and_ipv6(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen(0)  # so short a queue is full at once
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000)
    with serving(always(answer), unix):
        load = Load(path, [[step(200)]], units=40, connections=20, threads=2)
        load.run()
        assert (load.failures, load.bytes_received) == ({}, 40 * 3_000_000)
    six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    with serving(always(), six):
        load = Load(("::1", six.getsockname()[1]), [[step()]], units=4, connections=2)
        load.run()
        assert load.failures == {}


def test_a_server_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    load = Load(address, [[step()]], units=5, connections=2, threads=2)
    load.run()
    assert (load.failures, load.units_done) == ({"connect": 5}, 5)
    assert load.first_failure == b"Connection refused"


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": b"GET / HTTP/1.1\r\n"},
        {"head": b"GET / HTTP/1.1\r\n\r\nbody"},
        {"head": b"GET  / HTTP/1.1\r\n\r\n"},
        {"head": b"GET / HTTP/2\r\n\r\n"},
        {"head": b"GET {location}/{location} HTTP/1.1\r\n\r\n"},
        {"wanted": 100},
        {"wanted": 600},
        {"length": 5},
        {"start": 5},
        {"file": 0, "body": b"x"},
        {"offset": -2},
        {"piece_bytes": 5},
        {"interval_s": 1.0},
        {"piece_bytes": 5, "interval_s": float("nan")},
    ],
)
def test_a_step_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"head": head("GET /"), "wanted": 200}
    with pytest.raises(ValueError, match=r"."):
        Step(**good | wrong)


def test_a_body_is_of_a_regular_file_that_has_bytes(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    with empty.open("rb") as file, pytest.raises(ValueError, match="empty"):
        Step(head("PUT /"), 204, file=file.fileno(), length=1)
    with Path("/dev/zero").open("rb") as file, pytest.raises(ValueError, match="regular"):
        Step(head("PUT /"), 204, file=file.fileno(), length=1)
    with pytest.raises(OSError, match="Bad file"):
        Step(head("PUT /"), 204, file=1 << 20, length=1)


LOCATED: Final = Step(head("GET {location}"), 200)
SLOW: Final = Step(head("PUT /"), 200, body=b"xx", piece_bytes=1, interval_s=70.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scripts": []},
        {"scripts": [[]]},
        {"scripts": [[LOCATED]]},
        {"scripts": [[SLOW]]},
        {"units": -1},
        {"connections": 0},
        {"threads": 0},
        {"rate": -1.0},
        {"rate": float("inf")},
        {"timeout_s": 0.0},
        {"address": ("127.0.0.1", 0)},
        {"address": ""},
        {"address": "x" * 108},
    ],
)
def test_a_load_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "address": ("127.0.0.1", 1),
        "scripts": [[step()]],
        "units": 1,
        "connections": 1,
    }
    given = good | wrong
    with pytest.raises(ValueError, match=r"."):
        Load(given.pop("address"), given.pop("scripts"), **given)


def test_a_load_runs_once_and_tells_its_results_afterwards() -> None:
    with serving(always()) as server:
        load = Load(server.listener.getsockname(), [[step()]], units=1, connections=1)
        with pytest.raises(RuntimeError, match="not ended"):
            _ = load.seconds
        load.run()
        with pytest.raises(RuntimeError, match="once"):
            load.run()
        with pytest.raises(IndexError, match="step 1"):
            load.histogram(1)


def test_threads_share_what_is_left() -> None:
    units = 2000
    answered: set[int] = set()

    def serve(sock: socket.socket) -> None:
        answered.add(threading.get_ident())
        always()(sock)

    with serving(serve) as server:
        address = server.listener.getsockname()
        load = Load(address, [[step()]], units=units, connections=7, threads=3)
        load.run()
    assert (load.failures, load.units_done, load.unit_histogram.count) == ({}, units, units)
    assert len(answered) == 7
