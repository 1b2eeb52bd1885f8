"""Hostile HTTP: the request line (H11, H12, H30 to H36, H54, H58)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.attack import (
    CUTS,
    Attack,
    Scene,
    assert_refused,
    attacks,
    cut_into_pieces,
    patch,
    read_refusal,
)
from tests.wire import render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

HOST = b"Host: upload.example\r\n"
EMPTY = patch(b"Content-Length: 5\r\n", b"hello")


def line(request_line: bytes) -> bytes:
    """Return the usual PATCH with another request line."""
    return request_line + EMPTY[EMPTY.index(b"\r\n") :]


LINES = attacks(
    Attack("H11-nul", line(b"PATCH @TARGET@\0 HTTP/1.1")),
    Attack("H11-space", line(b"PATCH @TARGET@ x HTTP/1.1")),
    Attack("H11-raw-utf-8", line("PATCH @TARGET@é HTTP/1.1".encode())),
    Attack("H11-del", line(b"PATCH @TARGET@\x7f HTTP/1.1")),
    Attack("H12-fragment", line(b"PATCH @TARGET@#b HTTP/1.1")),
    Attack("H12-empty-fragment", line(b"PATCH @TARGET@# HTTP/1.1")),
    Attack("H12-fragment-in-query", line(b"PATCH @TARGET@?a#b HTTP/1.1")),
    Attack("H30-star-patch", line(b"PATCH * HTTP/1.1")),
    Attack("H30-star-get", line(b"GET * HTTP/1.1")),
    Attack("H61-star-get", line(b"GET * HTTP/1.1")),
    Attack("H31-connect", line(b"CONNECT x:443 HTTP/1.1"), frozenset({400, 405, 501})),
    Attack("H31-connect-path", line(b"CONNECT @TARGET@ HTTP/1.1"), frozenset({400, 405, 501})),
    Attack("H31-trace", line(b"TRACE @TARGET@ HTTP/1.1"), frozenset({405})),
    Attack("H32-http-0.9", b"GET @TARGET@\r\n\r\n", frozenset({400, 505})),
    Attack("H32-http-1.2", line(b"PATCH @TARGET@ HTTP/1.2"), frozenset({400, 505})),
    Attack("H32-http-2.0", line(b"PATCH @TARGET@ HTTP/2.0"), frozenset({400, 505})),
    Attack("H32-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frozenset({400, 505})),
    Attack("H32-http-01.1", line(b"PATCH @TARGET@ HTTP/01.1"), frozenset({400, 505})),
    Attack("H32-http-1.10", line(b"PATCH @TARGET@ HTTP/1.10"), frozenset({400, 505})),
    Attack("H32-http-1", line(b"PATCH @TARGET@ HTTP/1"), frozenset({400, 505})),
    Attack("H32-lower-case", line(b"PATCH @TARGET@ http/1.1")),
    Attack("H32-no-version", line(b"PATCH @TARGET@")),
    Attack("H32-no-slash", line(b"PATCH @TARGET@ HTTP1.1")),
    Attack("H33-unknown", line(b"FOO @TARGET@ HTTP/1.1"), frozenset({400, 501})),
    Attack("H33-lower-case", line(b"patch @TARGET@ HTTP/1.1"), frozenset({400, 501})),
    Attack("H33-get-lower-case", line(b"get @TARGET@ HTTP/1.1"), frozenset({400, 501})),
    Attack("H33-underscore", line(b"PAT_CH @TARGET@ HTTP/1.1"), frozenset({400, 501})),
    Attack("H33-no-method", line(b" @TARGET@ HTTP/1.1")),
    Attack("H35-two-spaces", line(b"PATCH  @TARGET@ HTTP/1.1")),
    Attack("H35-two-spaces-later", line(b"PATCH @TARGET@  HTTP/1.1")),
    Attack("H36-tab", line(b"PATCH\t@TARGET@ HTTP/1.1")),
    Attack("H36-tab-later", line(b"PATCH @TARGET@\tHTTP/1.1")),
    Attack("H36-space-after-version", line(b"PATCH @TARGET@ HTTP/1.1 ")),
    Attack("H36-tab-after-version", line(b"PATCH @TARGET@ HTTP/1.1\t")),
    Attack("H36-space-before-method", line(b" PATCH @TARGET@ HTTP/1.1")),
    Attack("H58-rtsp", line(b"PATCH @TARGET@ RTSP/1.0"), frozenset({400, 505})),
    Attack("H58-get-rtsp", b"GET / RTSP/1.0\r\n" + HOST + b"\r\n", frozenset({400, 505})),
    Attack("H58-ice", b"SOURCE /x ICE/1.0\r\n" + HOST + b"\r\n", frozenset({400, 501, 505})),
    Attack("H58-options-rtsp", b"OPTIONS * RTSP/1.0\r\n" + HOST + b"\r\n", frozenset({400, 505})),
    Attack("H54-garbage", bytes(range(256)) * 4 + b"\r\n\r\n"),
    Attack("H54-client-hello", bytes.fromhex("16030100a5010000a10303") + bytes(160) + b"\r\n\r\n"),
)


@LINES
def test_a_broken_request_line_is_refused(tus: Endpoint, attack: Attack, cut: str) -> None:
    """H11, H12, H30 to H33, H35, H36, H54, H58 and H61."""
    assert_refused(tus, attack, cut)


def test_garbage_leaves_no_traceback(tus: Endpoint) -> None:
    """H54: 400 or a closed connection, at once, and nothing in the log but lines of ours."""
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 100, b"\xff\xfe\r\n"):
        with tus.connect() as wire:
            wire.send(garbage)
            assert read_refusal(wire).status == 400
    assert not [line for line in tus.server.log if "Traceback" in line]


def test_put_is_a_method_that_uploads_do_not_have(tus: Endpoint) -> None:
    upload = tus.create(1)
    with tus.connect() as wire:
        for target, allow in ((upload, "HEAD, PATCH"), ("/files/", "POST, OPTIONS")):
            answer = wire.ask(render_request("PUT", target, {}, b"x"))
            assert answer.status == 405
            assert answer["Allow"].startswith(allow)
        assert tus.offset(upload) == 0


def test_trace_echoes_nothing(tus: Endpoint) -> None:
    """H31."""
    answer = tus.ask("TRACE", tus.base, {"Authorization": "Basic c2VjcmV0"})
    assert answer.status == 405
    assert "Allow" in answer
    assert b"c2VjcmV0" not in answer.body


@pytest.mark.parametrize("cut", CUTS)
def test_options_of_the_server_is_answered(tus: Endpoint, cut: str) -> None:
    """H30."""
    with tus.connect() as wire:
        for _ in range(2):
            wire.send_pieces(cut_into_pieces(render_request("OPTIONS", "*"), cut))
            answer = wire.read()
            assert answer.status in {200, 204}
            assert answer["Tus-Version"] == "1.0.0"


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("count", [1, 2])
def test_empty_lines_before_a_request_are_ignored(tus: Endpoint, count: int, cut: str) -> None:
    """H34: some clients send one after a body."""
    scene = Scene(tus)
    with tus.connect() as wire:
        for _ in range(2):
            wire.send_pieces(
                cut_into_pieces(b"\r\n" * count + render_request("HEAD", scene.target), cut)
            )
            assert wire.read(head=True)["Upload-Offset"] == "0"


@pytest.mark.parametrize("cut", CUTS)
def test_a_flood_of_empty_lines_is_refused(tus: Endpoint, cut: str) -> None:
    """H34."""
    scene = Scene(tus)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(b"\r\n" * 10_000 + scene.poison, cut))
        assert read_refusal(wire).status in {400, 431}
    scene.assert_unharmed()


@pytest.mark.parametrize("preface", [b"\n", b"\r", b"\n\r\n", b" \r\n", b"\0\r\n"])
def test_what_is_no_empty_line_is_refused(tus: Endpoint, preface: bytes) -> None:
    """H34."""
    scene = Scene(tus)
    with tus.connect() as wire:
        wire.send_pieces([preface + scene.poison])
        assert read_refusal(wire).status == 400
    scene.assert_unharmed()


def test_http_0_9_without_an_end_is_closed_in_time(hasty: Endpoint) -> None:
    """H32: nobody knows whether more comes, until the head's time is over."""
    with hasty.connect() as wire:
        wire.send(b"GET /files/\r\n")
        rest = wire.read_to_end()
        assert not rest or rest[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 408", b"HTTP/1.1 505"}
