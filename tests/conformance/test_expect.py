"""HTTP/1.1: refusals before the body, and Expect (H42 to H45)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.attack import CUTS, Scene, cut_into_pieces
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

UNKNOWN = "/files/0123456789abcdef0123456789abcdef"
REFUSALS = [
    pytest.param({}, UNKNOWN, 404, id="404"),
    pytest.param({"Upload-Offset": "3"}, None, 409, id="409"),
    pytest.param({"Tus-Resumable": "9"}, None, 412, id="412"),
    pytest.param({"Content-Type": "text/plain"}, None, 415, id="415"),
    pytest.param({"Upload-Offset": "x"}, None, 400, id="400"),
    pytest.param({"Upload-Checksum": "x"}, None, 400, id="checksum"),
]


@pytest.mark.parametrize(("wrong", "target", "status"), REFUSALS)
@pytest.mark.parametrize("size", [100, 60_000, 70_000, 8_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_refusal_reaches_a_client_that_still_sends(
    tus: Endpoint,
    wrong: dict[str, str],
    target: str | None,
    status: int,
    size: int,
    *,
    chunked: bool,
) -> None:
    """H42: the rest of the body is read away or dropped; a reset must not destroy the answer."""
    scene = Scene(tus, 10_000_000)
    body = (scene.poison * (size // len(scene.poison) + 1))[:size]
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **wrong}
    framing = CHUNKED if chunked else {}
    sent = render_chunks([body]) if chunked else body
    request = render_request("PATCH", target or scene.target, {**fields, **framing}, sent)
    with tus.connect() as wire:
        wire.send(request)
        answer = wire.read()
        assert answer.status == status
        if answer.closes:
            wire.assert_silent_end()
        else:
            assert wire.ask(render_request("HEAD", scene.target))["Upload-Offset"] == "0"
    scene.assert_unharmed()


@pytest.mark.parametrize("cut", CUTS)
def test_a_small_refused_body_does_not_cost_the_connection(tus: Endpoint, cut: str) -> None:
    """H42."""
    scene = Scene(tus)
    refused = tus.render_append(scene.target, 3, scene.poison)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(refused + tus.render_append(scene.target, 0, b"hi"), cut))
        assert wire.read().status in {409, 413}
        assert wire.read()["Upload-Offset"] == "2"
    scene.assert_target_holds(b"hi")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("expected", ["100-continue", "100-Continue"])
def test_100_comes_when_it_is_wanted(tus: Endpoint, expected: str, cut: str) -> None:
    """H43."""
    scene = Scene(tus)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "5"}
    head = render_request("PATCH", scene.target, {**fields, "Expect": expected})
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(head, cut))
        wire.wait_for_continue()
        wire.send_pieces(cut_into_pieces(b"hello", cut))
        answer = wire.read()
        assert (answer.status, answer["Upload-Offset"], answer.interim) == (204, "5", ())
        assert wire.ask(render_request("HEAD", scene.target))["Upload-Offset"] == "5"
    scene.assert_target_holds(b"hello")


@pytest.mark.parametrize("chunked", [False, True])
def test_100_comes_before_a_chunked_or_checked_body(tus: Endpoint, *, chunked: bool) -> None:
    """H43."""
    scene = Scene(tus)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Expect": "100-continue"}
    fields |= CHUNKED if chunked else {"Content-Length": "5"}
    fields["Upload-Checksum"] = "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="
    with tus.connect() as wire:
        wire.send(render_request("PATCH", scene.target, fields))
        wire.wait_for_continue()
        wire.send(render_chunks([b"hello"]) if chunked else b"hello")
        assert wire.read()["Upload-Offset"] == "5"
    scene.assert_target_holds(b"hello")


def test_100_is_not_sent_for_a_body_of_no_bytes(tus: Endpoint) -> None:
    """H43: there is nothing to wait for."""
    scene = Scene(tus)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Expect": "100-continue"}
    with tus.connect() as wire:
        for request in (
            render_request("PATCH", scene.target, fields),
            render_request("HEAD", scene.target, {"Expect": "100-continue"}),
        ):
            answer = wire.ask(request)
            assert answer.interim == ()
            assert answer["Upload-Offset"] == "0"


@pytest.mark.parametrize("cut", CUTS)
def test_a_client_that_sends_without_waiting_is_served(tus: Endpoint, cut: str) -> None:
    """H43: 100 may then be left away."""
    scene = Scene(tus)
    request = tus.render_append(scene.target, 0, b"hello", {"Expect": "100-continue"})
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(request + render_request("HEAD", scene.target), cut))
        answer = wire.read()
        assert (answer.status, answer["Upload-Offset"]) == (204, "5")
        assert answer.interim in {(), (100,)}
        assert wire.read(head=True)["Upload-Offset"] == "5"
    scene.assert_target_holds(b"hello")


@pytest.mark.parametrize(("wrong", "target", "status"), REFUSALS)
@pytest.mark.parametrize("sends_body", [False, True])
def test_a_refused_body_is_not_asked_for_and_never_taken_for_a_request(
    tus: Endpoint, wrong: dict[str, str], target: str | None, status: int, *, sends_body: bool
) -> None:
    """H43: closed, or skipped where the client sends it all the same."""
    scene = Scene(tus, 10_000)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **wrong, "Expect": "100-continue"}
    fields["Content-Length"] = str(len(scene.poison))
    with tus.connect() as wire:
        wire.send(render_request("PATCH", target or scene.target, fields))
        answer = wire.read()
        assert (answer.status, answer.interim) == (status, ())
        if sends_body:
            wire.send_pieces([scene.poison])
        if answer.closes:
            wire.assert_silent_end()
        else:
            assert sends_body, "nobody can tell a body from a request here: close"
            assert wire.ask(render_request("HEAD", scene.target))["Upload-Offset"] == "0"
    scene.assert_unharmed()


@pytest.mark.parametrize("value", ["foo", "100-continue, foo", "200-ok", "100"])
def test_another_expectation_is_417(tus: Endpoint, value: str) -> None:
    """H44."""
    scene = Scene(tus)
    request = tus.render_append(scene.target, 0, scene.poison, {"Expect": value})
    with tus.connect() as wire:
        wire.send_pieces([request])
        answer = wire.read()
        assert (answer.status, answer.interim) == (417, ())
        if answer.closes:
            wire.assert_silent_end()
    scene.assert_unharmed()


def test_http_1_0_gets_no_interim_answer(tus: Endpoint) -> None:
    """H45."""
    scene = Scene(tus)
    request = tus.render_append(scene.target, 0, b"hello", {"Expect": "100-continue"})
    with tus.connect() as wire:
        answer = wire.ask(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (answer.status, answer.interim) == (204, ())
        wire.assert_silent_end()
    scene.assert_target_holds(b"hello")
