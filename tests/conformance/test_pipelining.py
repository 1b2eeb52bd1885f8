"""Hostile HTTP: pipelines and the connection (H28, H38 to H41, H46, H47, H51, H55)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests.conformance.attack import CUTS, Scene, cut_into_pieces
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_pipeline_is_answered_in_order(tus: Endpoint, cut: str, *, chunked: bool) -> None:
    """H38: each answer complete, whatever the packets look like."""
    upload = tus.create(20)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS}
    if chunked:
        append = render_request(
            "PATCH", upload, {**fields, **CHUNKED}, render_chunks([b"he", b"llo"])
        )
    else:
        append = render_request("PATCH", upload, fields, b"hello")
    requests = [
        render_request("POST", tus.base, {"Upload-Length": "7"}),
        append,
        render_request("HEAD", upload),
        tus.render_append(upload, 5, b" world"),
        tus.render_append(upload, 5, b"refused"),
        render_request("OPTIONS", tus.base),
        render_request("HEAD", upload),
    ]
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(b"".join(requests), cut))
        answers = [wire.read(head=request.startswith(b"HEAD")) for request in requests]
        assert [answer.status for answer in answers][:5] == [201, 204, 200, 204, 409]
        assert answers[2]["Upload-Offset"] == "5"
        assert answers[6]["Upload-Offset"] == "11"
        wire.half_close()
        wire.assert_silent_end()
    tus.assert_holds(tus.path_of(answers[0]), b"")
    tus.assert_holds(upload, b"hello world")


@pytest.mark.parametrize("size", [1, 60_000, 65_536, 70_000, 1_000_000])
def test_a_request_behind_a_large_body_is_not_eaten(tus: Endpoint, size: int) -> None:
    """H38: the engine reads exactly the body."""
    upload = tus.create(2 * size)
    content = bytes(range(256)) * (size // 128 + 1)
    with tus.connect() as wire:
        sender = threading.Thread(
            target=wire.send,
            args=(
                tus.render_append(upload, 0, content[:size])
                + render_request("HEAD", upload)
                + tus.render_append(upload, size, content[size : 2 * size])
                + render_request("HEAD", upload),
            ),
        )
        sender.start()
        assert wire.read()["Upload-Offset"] == str(size)
        assert wire.read(head=True)["Upload-Offset"] == str(size)
        assert wire.read()["Upload-Offset"] == str(2 * size)
        assert wire.read(head=True)["Upload-Offset"] == str(2 * size)
        sender.join()
    tus.assert_holds(upload, content[: 2 * size])


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("value", ["close", "Close", "close, x", "x, close", "keep-alive, close"])
def test_what_follows_connection_close_is_dropped(tus: Endpoint, value: str, cut: str) -> None:
    """H39."""
    scene = Scene(tus)
    first = render_request("HEAD", scene.target, {"Connection": value})
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(first + scene.poison, cut))
        answer = wire.read(head=True)
        assert (answer.status, answer["Upload-Offset"]) == (200, "0")
        assert answer.closes
        wire.assert_silent_end()
    scene.assert_unharmed()


@pytest.mark.parametrize("cut", CUTS)
def test_an_empty_line_behind_a_body_is_tolerated(tus: Endpoint, cut: str) -> None:
    """H40."""
    scene = Scene(tus)
    data = (
        tus.render_append(scene.target, 0, b"hello")
        + b"\r\n"
        + render_request("HEAD", scene.target)
    )
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(data, cut))
        assert wire.read()["Upload-Offset"] == "5"
        assert wire.read(head=True)["Upload-Offset"] == "5"
    scene.assert_target_holds(b"hello")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "DELETE"])
def test_a_body_that_means_nothing_is_no_request(
    tus: Endpoint, method: str, cut: str, *, chunked: bool
) -> None:
    """H41: drained, or the connection closes."""
    scene = Scene(tus)
    spare = tus.create(5)
    scene = Scene(tus)
    if chunked:
        request = render_request(method, spare, CHUNKED, render_chunks([scene.poison]))
    else:
        request = render_request(method, spare, {}, scene.poison)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(request + render_request("HEAD", scene.target), cut))
        answer = wire.read(head=method == "HEAD")
        assert answer.status == {"GET": 405, "HEAD": 200}.get(method, 204)
        if answer.closes:
            wire.assert_silent_end()
        else:
            assert wire.read(head=True)["Upload-Offset"] == "0"
    tus.assert_holds(scene.victim, b"")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET", "DELETE"])
def test_a_large_body_that_means_nothing_does_no_harm(tus: Endpoint, method: str) -> None:
    """H41."""
    spare = tus.create(5)
    scene = Scene(tus)
    with tus.connect() as wire:
        wire.send_pieces([render_request(method, spare, {}, scene.poison * 5000)])
        answer = wire.read(head=method == "HEAD")
        assert answer.closes
        wire.assert_silent_end()
    tus.assert_holds(scene.victim, b"")


def test_a_client_that_does_not_read_cannot_fill_the_memory(tus: Endpoint) -> None:
    """H51: 10 000 requests in a row, then every answer in order."""
    count = 10_000
    uploads = [tus.create_holding(b"x" * size, 10) for size in range(1, 5)]
    requests = [render_request("HEAD", upload) for upload in uploads]
    before = tus.server.memory()
    with tus.connect(timeout_s=30) as wire:
        sender = threading.Thread(
            target=lambda: wire.send_pieces(requests[number % 4] for number in range(count))
        )
        sender.start()
        sender.join(timeout=3)
        assert tus.server.memory() - before < 16_000_000
        for number in range(count):
            assert wire.read(head=True)["Upload-Offset"] == str(number % 4 + 1)
        sender.join()
    assert tus.server.memory() - before < 16_000_000


@pytest.mark.parametrize("cut", CUTS)
def test_http_1_0_closes_after_one_answer(tus: Endpoint, cut: str) -> None:
    """H28 and H46: and needs no Host."""
    scene = Scene(tus)
    first = render_request("HEAD", scene.target, {"Host": None}).replace(b"HTTP/1.1", b"HTTP/1.0")
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(first + scene.poison, cut))
        assert wire.read(head=True)["Upload-Offset"] == "0"
        wire.assert_silent_end()
    scene.assert_unharmed()


@pytest.mark.parametrize("cut", CUTS)
def test_http_1_0_may_ask_to_keep_the_connection(tus: Endpoint, cut: str) -> None:
    """H46."""
    scene = Scene(tus)
    request = render_request("HEAD", scene.target, {"Connection": "Keep-Alive"})
    request = request.replace(b"HTTP/1.1", b"HTTP/1.0")
    with tus.connect() as wire:
        for _ in range(2):
            wire.send_pieces(cut_into_pieces(request, cut))
            answer = wire.read(head=True)
            assert answer["Upload-Offset"] == "0"
            assert answer["Connection"].lower() == "keep-alive"


def test_a_body_of_http_1_0_is_stored(tus: Endpoint) -> None:
    """H46."""
    scene = Scene(tus)
    request = tus.render_append(scene.target, 0, b"hello").replace(b"HTTP/1.1", b"HTTP/1.0")
    with tus.connect() as wire:
        assert wire.ask(request)["Upload-Offset"] == "5"
        wire.assert_silent_end()
    scene.assert_target_holds(b"hello")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
def test_an_upgrade_is_not_made(tus: Endpoint, protocol: str, cut: str) -> None:
    """H47: the request is answered as it is, or refused; what follows is never a request."""
    scene = Scene(tus)
    fields = {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": protocol,
        "HTTP2-Settings": "AAMA",
    }
    first = tus.render_append(scene.target, 0, b"hello", fields)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(first + scene.poison, cut))
        answer = wire.read()
        assert answer.interim == ()
        assert answer.status in {204, 400, 501}
        assert answer.closes
        wire.assert_silent_end()
    scene.assert_target_holds(b"hello" if answer.status == 204 else b"")


@pytest.mark.parametrize("cut", CUTS)
def test_a_client_that_closes_its_side_still_gets_its_answers(tus: Endpoint, cut: str) -> None:
    """H55."""
    scene = Scene(tus)
    data = tus.render_append(scene.target, 0, b"hello") + render_request("HEAD", scene.target)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(data, cut))
        wire.half_close()
        assert wire.read()["Upload-Offset"] == "5"
        assert wire.read(head=True)["Upload-Offset"] == "5"
        wire.assert_silent_end()
    scene.assert_target_holds(b"hello")


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_a_large_body_and_a_closed_side_are_answered(tus: Endpoint, size: int) -> None:
    """H55: the body ends with the client's FIN right behind it."""
    upload = tus.create(size)
    with tus.connect() as wire:
        wire.send(tus.render_append(upload, 0, b"x" * size))
        wire.half_close()
        assert wire.read()["Upload-Offset"] == str(size)
        wire.assert_silent_end()
    tus.assert_holds(upload, b"x" * size)
