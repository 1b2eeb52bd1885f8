"""The proxy does what tests script: without that, a test that passes through it proves nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.proxy import Break, Course, End, Fate, Proxy

DATA = bytes(range(256)) * 256


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """Return the address of a server that sends everything back, and ends when its peer does."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                try:
                    while data := sock.recv(65536):
                        sock.sendall(data)
                except ConnectionError:
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def receive(sock: socket.socket) -> bytes:
    received = b""
    while data := sock.recv(65536):
        received += data
    return received


def test_nothing_scripted_passes_everything(echo: tuple[str, int]) -> None:
    with Proxy(echo) as proxy, socket.create_connection(proxy.address, 5) as sock:
        sock.sendall(DATA)
        sock.shutdown(socket.SHUT_WR)
        assert receive(sock) == DATA
        assert proxy.passed_up == len(DATA)


def test_a_cut_lets_exactly_so_many_bytes_through(echo: tuple[str, int]) -> None:
    fate = Fate(down=Course(after=1000))
    with Proxy(echo, fate) as proxy, socket.create_connection(proxy.address, 5) as sock:
        sock.sendall(DATA[:5000])
        assert receive(sock) == DATA[:1000]


def test_a_reset_is_seen_as_a_reset(echo: tuple[str, int]) -> None:
    fate = Fate(up=Course(after=10, end=End.RESET))
    with Proxy(echo, fate) as proxy, socket.create_connection(proxy.address, 5) as sock:
        sock.sendall(DATA[:100])
        with pytest.raises(ConnectionResetError):
            receive(sock)


def test_a_stall_passes_no_more_and_says_nothing(echo: tuple[str, int]) -> None:
    fate = Fate(up=Course(after=10, end=End.STALL))
    with Proxy(echo, fate) as proxy, socket.create_connection(proxy.address, 0.3) as sock:
        sock.sendall(DATA[:100])
        assert sock.recv(100) == DATA[:10]
        with pytest.raises(TimeoutError):
            sock.recv(100)


def test_a_trickle_passes_all_in_small_pieces(echo: tuple[str, int]) -> None:
    fate = Fate(up=Course(piece=7, pause_s=0.001), down=Course(piece=3))
    with Proxy(echo, fate) as proxy, socket.create_connection(proxy.address, 5) as sock:
        sock.sendall(DATA[:500])
        sock.shutdown(socket.SHUT_WR)
        assert receive(sock) == DATA[:500]


def test_fates_are_taken_in_turn_and_a_reset_of_all_leaves_the_door_open(
    echo: tuple[str, int],
) -> None:
    with Proxy(echo, Fate(down=Course(after=1)), Fate()) as proxy:
        for wanted in (DATA[:1], DATA[:9]):
            with socket.create_connection(proxy.address, 5) as sock:
                sock.sendall(DATA[:9])
                sock.shutdown(socket.SHUT_WR)
                assert receive(sock) == wanted
        with socket.create_connection(proxy.address, 5) as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            proxy.reset_all()
            with pytest.raises(ConnectionResetError):
                receive(sock)


def test_breaks_count_over_all_connections(echo: tuple[str, int]) -> None:
    breaks = Break(at=150, end=End.CLOSE), Break(at=200, end=End.RESET, answer=True)
    with Proxy(echo, breaks=breaks) as proxy:
        for sends, wanted in ((100, 100), (100, 100), (7, 0)):
            with socket.create_connection(proxy.address, 5) as sock:
                sock.sendall(DATA[:sends])
                sock.shutdown(socket.SHUT_WR)
                assert receive(sock) == DATA[:wanted]
        with socket.create_connection(proxy.address, 5) as sock:
            sock.sendall(DATA[:9])
            with pytest.raises(ConnectionResetError):
                receive(sock)
        assert not proxy.breaks
