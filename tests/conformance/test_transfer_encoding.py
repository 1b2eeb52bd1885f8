"""Hostile HTTP: Transfer-Encoding (H13 to H17, H59)."""

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

BODY = b"5\r\nhello\r\n0\r\n\r\n"
REFUSED = frozenset({400, 501})


def coded(value: bytes, name: bytes = b"Transfer-Encoding:") -> bytes:
    return patch(name + value + b"\r\n", BODY)


CODINGS = attacks(
    Attack("H13-xchunked", coded(b" xchunked"), REFUSED),
    Attack("H13-identity", coded(b" identity"), REFUSED),
    Attack("H13-quoted", coded(b' "chunked"'), REFUSED),
    Attack("H13-chunkedx", coded(b" chunkedx"), REFUSED),
    Attack("H13-gzip", coded(b" gzip"), REFUSED),
    Attack("H14-identity-last", coded(b" chunked, identity"), REFUSED),
    Attack("H14-twice", coded(b" chunked, chunked"), REFUSED),
    Attack("H14-two-fields", coded(b" chunked\r\nTransfer-Encoding: chunked"), REFUSED),
    Attack("H14-two-fields-differ", coded(b" chunked\r\nTransfer-Encoding: identity"), REFUSED),
    Attack("H14-trailing-comma", coded(b" chunked,"), REFUSED),
    Attack("H14-vertical-tab", coded(b" \x0bchunked"), REFUSED),
    Attack("H14-form-feed", coded(b" \x0cchunked"), REFUSED),
    Attack("H14-nbsp", coded(b" \xa0chunked"), REFUSED),
    Attack("H14-nul", coded(b" chunked\0"), REFUSED),
    Attack("H14-carriage-return", coded(b" chunked\r"), REFUSED),
    Attack("H15-empty", coded(b""), REFUSED),
    Attack("H15-blank", coded(b" \t"), REFUSED),
    Attack("H15-comma", coded(b" ,"), REFUSED),
    Attack("H16-gzip-chunked", coded(b" gzip, chunked"), frozenset({501})),
    Attack("H16-two-fields", coded(b" gzip\r\nTransfer-Encoding: chunked"), REFUSED),
    Attack("H17-http-1.0", coded(b" chunked").replace(b"HTTP/1.1", b"HTTP/1.0", 1)),
    Attack("H59-parameter", coded(b" chunked;q=1"), REFUSED),
    Attack("H08-space-before-colon", coded(b" chunked", b"Transfer-Encoding :")),
    Attack("H07-folded", coded(b"\r\n chunked")),
)


@CODINGS
def test_a_coding_that_we_lack_is_refused(tus: Endpoint, attack: Attack, cut: str) -> None:
    """H07, H08, H13 to H17 and H59."""
    assert_refused(tus, attack, cut)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "value", [b" chunked", b" CHUNKED", b" Chunked", b" chunked \t", b",chunked"]
)
def test_chunked_however_it_is_spelt_is_chunked_or_refused(
    tus: Endpoint, value: bytes, cut: str
) -> None:
    """H59: a proxy in front may take it for chunked, so it must never be anything else."""
    scene = Scene(tus)
    smuggled = patch(b"Transfer-Encoding:" + value + b"\r\n", BODY)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(scene.aim(smuggled), cut))
        answer = wire.read()
        if answer.status == 204:
            assert answer["Upload-Offset"] == "5"
        else:
            assert answer.status in REFUSED
            assert answer.closes
            wire.assert_silent_end()
    scene.assert_target_holds(b"hello" if answer.status == 204 else b"")
