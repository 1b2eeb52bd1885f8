"""Several requests for one upload at once (T074 to T076, T163; I27, I29): who has to give way."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.conformance.append import begin_append, end_of
from tests.deadline import eventually
from tests.wire import CHUNKED

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


def test_the_next_patch_takes_over_from_one_that_stalls(either: Endpoint) -> None:
    """T076: within milliseconds, and the bytes of both are kept."""
    upload = either.create(1000)
    with either.connect() as stalled:
        begin_append(either, stalled, upload, 1000, b"a" * 400)
        started = time.monotonic()
        answer = either.append(upload, 400, b"b" * 600)
        assert time.monotonic() - started < 5.0
        assert (answer.status, answer["Upload-Offset"]) == (204, "1000")
        stalled.send_pieces([b"A" * 600])
        assert end_of(stalled) in {0, 423}
    either.assert_holds(upload, b"a" * 400 + b"b" * 600)


def test_the_next_patch_takes_over_from_a_chunked_one(either: Endpoint) -> None:
    """T076."""
    upload = either.create(1000)
    with either.connect() as stalled:
        stalled.send(either.render_append(upload, 0, b"190\r\n" + b"a" * 399, CHUNKED))
        eventually(lambda: either.offset(upload) == 399)
        answer = either.append(upload, 399, b"b" * 601)
        assert (answer.status, answer["Upload-Offset"]) == (204, "1000")
        stalled.send_pieces([b"A\r\n0\r\n\r\n"])
        assert end_of(stalled) in {0, 423}
    either.assert_holds(upload, b"a" * 399 + b"b" * 601)


def test_a_takeover_at_a_stale_offset_is_409(either: Endpoint) -> None:
    """T074: what the first one stored counts, whatever becomes of it."""
    upload = either.create(1000)
    with either.connect() as first:
        begin_append(either, first, upload, 1000, b"a" * 400)
        assert either.append(upload, 0, b"b" * 1000).status in {409, 423}
        assert either.offset(upload) == 400
    either.assert_holds(upload, b"a" * 400)


def test_a_long_row_of_takeovers_loses_nothing(either: Endpoint) -> None:
    """T076."""
    upload = either.create(1000)
    wires = [either.connect() for _ in range(20)]
    content = b""
    for number, wire in enumerate(wires):
        piece = bytes([65 + number]) * 10
        size = 1000 - len(content)
        begin_append(either, wire, upload, size, piece, offset=len(content))
        content += piece
    for wire in wires:
        wire.send_pieces([b"!"])
    for wire in wires[:-1]:
        assert end_of(wire) in {0, 423}
    for wire in wires:
        wire.socket.close()
    either.assert_holds(upload, content + b"!")


def race(endpoint: Endpoint, upload: str, size: int) -> dict[bytes, int]:
    """PATCH *size* letters from two clients at the same time; return the statuses, 0 for none."""
    together = threading.Barrier(2)
    statuses: dict[bytes, int] = {}

    def run(letter: bytes) -> None:
        request = endpoint.render_append(upload, 0, letter * size)
        with endpoint.connect() as wire:
            together.wait()
            wire.send_pieces([request])
            statuses[letter] = end_of(wire)

    racers = [threading.Thread(target=run, args=(letter,)) for letter in (b"a", b"b")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return statuses


@pytest.mark.parametrize("size", [1, 1000, 300_000])
def test_two_patches_at_once_never_interleave(either: Endpoint, size: int) -> None:
    """T074: one is stored as a whole, the other refused or cut short; ten tries."""
    for _ in range(10):
        upload = either.create(size)
        statuses = race(either, upload, size)
        assert set(statuses.values()) <= {0, 204, 409, 413, 423}
        content = either.stored(upload)
        assert content in {b"a" * len(content), b"b" * len(content)}
        for letter, status in statuses.items():
            if status == 204:
                assert content == letter * size
        either.assert_holds(upload, content)


def test_a_dead_connection_does_not_keep_the_upload(either: Endpoint) -> None:
    """T076: the peer is gone without a word; the next request need not wait for a timeout."""
    upload = either.create(100)
    with either.connect() as dead:
        begin_append(either, dead, upload, 100, b"d" * 10)
        for round_ in range(3):
            offset = 10 + 10 * round_
            assert either.append(upload, offset, b"n" * 10).status == 204
    either.assert_holds(upload, b"d" * 10 + b"n" * 30)


def test_a_patch_that_stalls_is_ended_and_its_bytes_are_kept(hasty: Endpoint) -> None:
    """T075: 503 and close, so that the client comes back."""
    upload = hasty.create(1000)
    with hasty.connect() as wire:
        begin_append(hasty, wire, upload, 1000, b"s" * 300)
        answer = wire.read()
        assert answer.status == 503
        assert answer.closes
        assert "Retry-After" in answer
        wire.assert_silent_end()
    assert hasty.append(upload, 300, b"t" * 700).status == 204
    hasty.assert_holds(upload, b"s" * 300 + b"t" * 700)


def test_delete_ends_a_running_patch_and_nothing_comes_back(either: Endpoint) -> None:
    """T163."""
    upload = either.create(1000)
    with either.connect() as wire:
        begin_append(either, wire, upload, 1000, b"x" * 400)
        started = time.monotonic()
        assert either.ask("DELETE", upload).status == 204
        assert time.monotonic() - started < 5.0
        wire.send_pieces([b"y" * 600])
        assert end_of(wire) in {0, 404, 410, 423}
    either.assert_gone(upload)


def test_a_running_chunked_patch_is_ended_by_delete(either: Endpoint) -> None:
    """T163."""
    upload = either.create(1000)
    with either.connect() as wire:
        wire.send(either.render_append(upload, 0, b"a\r\n01234", CHUNKED))
        eventually(lambda: either.offset(upload) == 5)
        assert either.ask("DELETE", upload).status == 204
        wire.send_pieces([b"56789\r\n0\r\n\r\n"])
        assert end_of(wire) in {0, 404, 410, 423}
    either.assert_gone(upload)
