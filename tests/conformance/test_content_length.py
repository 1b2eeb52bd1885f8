"""Hostile HTTP: Content-Length (H01 to H04, H48, H60)."""

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
)

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

CHUNKED_BODY = b"5\r\nhello\r\n0\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def length(value: bytes) -> bytes:
    return patch(b"Content-Length:" + value + b"\r\n", b"hello")


LENGTHS = attacks(
    Attack("H01-length-first", patch(b"Content-Length: 5\r\n" + CHUNKED, CHUNKED_BODY)),
    Attack("H01-chunked-first", patch(CHUNKED + b"Content-Length: 5\r\n", CHUNKED_BODY)),
    Attack("H01-zero", patch(b"Content-Length: 0\r\n" + CHUNKED, CHUNKED_BODY)),
    Attack("H01-whole", patch(b"Content-Length: 15\r\n" + CHUNKED, CHUNKED_BODY)),
    Attack("H02-different", patch(b"Content-Length: 5\r\nContent-Length: 0\r\n", b"hello")),
    Attack("H02-same", patch(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello")),
    Attack("H02-list", length(b" 5, 5")),
    Attack("H02-list-tight", length(b" 5,5")),
    Attack("H03-negative", length(b" -1")),
    Attack("H03-plus", length(b" +5")),
    Attack("H03-hex", length(b" 0x5")),
    Attack("H03-underscore", length(b" 1_0")),
    Attack("H03-space", length(b" 5 5")),
    Attack("H03-empty", length(b"")),
    Attack("H03-blank", length(b"  ")),
    Attack("H03-word", length(b" five")),
    Attack("H03-fraction", length(b" 5.0")),
    Attack("H03-comma", length(b" 5,")),
    Attack("H03-2^64", length(b" 18446744073709551616")),
    Attack("H03-2^64+5", length(b" 18446744073709551621")),
    Attack("H03-long", length(b" " + b"9" * 500)),
    Attack("H04-2^64-1", length(b" 18446744073709551615"), frozenset({400, 413})),
    Attack("H04-2^63", length(b" 9223372036854775808"), frozenset({400, 413})),
    Attack("H04-2^63-1", length(b" 9223372036854775807"), frozenset({400, 413})),
)


@LENGTHS
def test_a_length_that_can_be_read_in_two_ways_is_refused(
    tus: Endpoint, attack: Attack, cut: str
) -> None:
    """H01 to H04."""
    assert_refused(tus, attack, cut)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("value", [b" 0005", b"\t5", b" 5 ", b" 5\t", b"5", b"   5"])
def test_zeros_and_white_space_around_a_length_do_not_matter(
    tus: Endpoint, value: bytes, cut: str
) -> None:
    """H60: 1*DIGIT and OWS, read as what they say, or refused."""
    scene = Scene(tus)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(scene.aim(length(value)), cut))
        answer = wire.read()
        if answer.status == 400:
            wire.assert_silent_end()
        else:
            assert (answer.status, answer["Upload-Offset"]) == (204, "5")
    scene.assert_target_holds(b"hello" if answer.status == 204 else b"")


@pytest.mark.parametrize("cut", CUTS)
def test_an_underscore_makes_another_field(tus: Endpoint, cut: str) -> None:
    """H48: there is no body then, and what follows is a broken request."""
    scene = Scene(tus)
    request = scene.aim(patch(b"Content_Length: 5\r\n", b"hello"))
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(request + scene.poison, cut))
        first = wire.read()
        assert first.status in {204, 400}
        if first.status == 204:
            assert first["Upload-Offset"] == "0"
            assert wire.read().status == 400
        wire.assert_silent_end()
    scene.assert_unharmed()
