"""Hostile HTTP: the chunked coding and its trailers (H18 to H26, H62)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.attack import (
    CUTS,
    Attack,
    Scene,
    assert_refused,
    attacks,
    chunked,
    cut_into_pieces,
    read_refusal,
)

if TYPE_CHECKING:
    from tests.endpoint import Endpoint
    from tests.wire import Wire

END = b"0\r\n\r\n"


def sized(size: bytes) -> bytes:
    """Return a chunked PATCH whose one chunk says *size*."""
    return chunked(size + b"\r\nhello\r\n" + END)


CHUNKS = attacks(
    Attack("H18-hex-prefix", sized(b"0x5")),
    Attack("H18-negative", sized(b"-5")),
    Attack("H18-plus", sized(b"+5")),
    Attack("H18-underscore", sized(b"0_5")),
    Attack("H18-empty", sized(b"")),
    Attack("H18-space", sized(b"5 ")),
    Attack("H18-tab", sized(b"5\t")),
    Attack("H18-letter", sized(b"g")),
    Attack("H18-17-digits", sized(b"10000000000000005")),
    Attack("H18-2^64-1", sized(b"ffffffffffffffff")),
    Attack("H18-2^63", sized(b"8000000000000000")),
    Attack("H18-nul", sized(b"5\0")),
    Attack("H19-zeros", sized(b"0" * 64 + b"5")),
    Attack(
        "H19-zeros-last", chunked(b"5\r\nhello\r\n" + b"0" * 70 + b"\r\n\r\n"), may_hold=b"hello"
    ),
    Attack("H20-bare-lf-after-size", chunked(b"5\nhello\r\n" + END)),
    Attack("H20-bare-cr-after-size", chunked(b"5\rhello\r\n" + END)),
    Attack("H20-bare-lf-after-data", chunked(b"5\r\nhello\n" + END), may_hold=b"hello"),
    Attack("H20-no-crlf", chunked(b"5\r\nhello" + END), may_hold=b"hello"),
    Attack("H20-longer-than-its-size", chunked(b"5\r\nhello!\r\n" + END), may_hold=b"hello"),
    Attack("H20-bare-lf-at-the-end", chunked(b"5\r\nhello\r\n0\r\n\n"), may_hold=b"hello"),
    Attack("H20-bare-lf-last-size", chunked(b"5\r\nhello\r\n0\n\r\n"), may_hold=b"hello"),
    Attack("H22-lf", sized(b"5;a\nb")),
    Attack("H22-nul", sized(b"5;a=\0")),
    Attack("H22-cr", sized(b"5;a\rb")),
    Attack("H62-bare-semicolon", sized(b"5;")),
    Attack("H62-leading-space", sized(b" 5")),
    Attack("H62-leading-tab", sized(b"\t5")),
    Attack(
        "H24-length",
        chunked(b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
        may_hold=b"hello",
    ),
    Attack(
        "H24-coding",
        chunked(b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        may_hold=b"hello",
    ),
    Attack("H24-no-colon", chunked(b"5\r\nhello\r\n0\r\nx\r\n\r\n"), may_hold=b"hello"),
    Attack("H24-folded", chunked(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), may_hold=b"hello"),
    Attack(
        "H24-space-before-colon", chunked(b"5\r\nhello\r\n0\r\nA : b\r\n\r\n"), may_hold=b"hello"
    ),
    Attack("H24-bare-lf", chunked(b"5\r\nhello\r\n0\r\nA: b\n\r\n"), may_hold=b"hello"),
)


@CHUNKS
def test_broken_chunks_are_refused(tus: Endpoint, attack: Attack, cut: str) -> None:
    """H18 to H20, H22, H24 and H62: the bytes behind the break are never a request."""
    assert_refused(tus, attack, cut)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("extension", [b";a=b", b";a", b';a="b c"', b";a=b;c=d"])
def test_a_short_extension_is_ignored(tus: Endpoint, extension: bytes, cut: str) -> None:
    """H23."""
    scene = Scene(tus)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(scene.aim(sized(b"5" + extension)), cut))
        answer = wire.read()
        assert (answer.status, answer["Upload-Offset"]) == (204, "5")
    scene.assert_target_holds(b"hello")


def flood(scene: Scene, wire: Wire, body: bytes) -> int:
    """Send a chunked *body* with poison behind it and return the status of the refusal."""
    data = scene.aim(chunked(body)) + scene.poison
    wire.send_pieces(data[at : at + 50_000] for at in range(0, len(data), 50_000))
    return read_refusal(wire).status


@pytest.mark.parametrize(
    "body",
    [
        b"5;" + b"a" * 100_000 + b"\r\nhello\r\n" + END,
        b"5;" + b"a" * 1_000_000,
        (b"1;" + b"a" * 100 + b"\r\nx\r\n") * 10_000 + END,
        b"5" + b";a=b" * 30_000 + b"\r\nhello\r\n" + END,
    ],
    ids=["H21-line", "H21-endless", "H21-many", "H21-pieces"],
)
def test_a_flood_of_extensions_is_refused(tus: Endpoint, body: bytes) -> None:
    """H21: and takes no memory."""
    scene = Scene(tus, 1_000_000)
    before = tus.server.memory()
    with tus.connect() as wire:
        assert flood(scene, wire, body) in {400, 413, 431}
    assert tus.server.memory() - before < 16_000_000
    scene.assert_unharmed(b"x" * 10_000)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "trailer",
    [
        b"Host: evil.example",
        b"Authorization: Basic c2VjcmV0",
        b"Upload-Offset: 5",
        b"Tus-Resumable: 0.0.0",
        b"Upload-Length: 3",
        b"Content-Type: text/plain",
        b"X-HTTP-Method-Override: DELETE",
        b"Connection: close",
        b"X-Any: \xff",
    ],
)
def test_trailers_never_become_headers(tus: Endpoint, trailer: bytes, cut: str) -> None:
    """H25."""
    scene = Scene(tus)
    body = b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n"
    after = scene.endpoint.render_append(scene.target, 5, b"!")
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(scene.aim(chunked(body)) + after, cut))
        for offset in ("5", "6"):
            answer = wire.read()
            assert (answer.status, answer["Upload-Offset"]) == (204, offset)
    scene.assert_target_holds(b"hello!")


@pytest.mark.parametrize(
    "trailers",
    [
        b"X: " + b"a" * 1_000_000 + b"\r\n",
        b"".join(b"X-%d: a\r\n" % number for number in range(10_000)),
        b"A: b\r\n" * 10_000,
    ],
    ids=["H26-long", "H26-many", "H26-same"],
)
def test_a_flood_of_trailers_is_refused(tus: Endpoint, trailers: bytes) -> None:
    """H26."""
    scene = Scene(tus)
    before = tus.server.memory()
    with tus.connect() as wire:
        assert flood(scene, wire, b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n") in {400, 431}
    assert tus.server.memory() - before < 16_000_000
    scene.assert_unharmed(b"hello")
