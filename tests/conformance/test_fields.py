"""Hostile HTTP: header fields and Host (H05 to H10, H27, H37, H56, H57)."""

from __future__ import annotations

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
from tests.endpoint import Endpoint, metadata
from tests.wire import OCTETS, Wire, render_request

LENGTH = b"Content-Length: 5\r\n"
PLAIN = patch(LENGTH, b"hello")


def field(line: bytes) -> bytes:
    """Return the usual PATCH with one more raw field line."""
    return patch(line + b"\r\n" + LENGTH, b"hello")


def host(lines: bytes) -> bytes:
    """Return the usual PATCH with other lines in place of its Host."""
    return PLAIN.replace(b"Host: upload.example\r\n", lines)


FIELDS = attacks(
    Attack("H05-all-bare-lf", PLAIN.replace(b"\r\n", b"\n")),
    Attack("H05-one-bare-lf", field(b"X-A: b\nX-B: c")),
    Attack("H05-request-line", PLAIN.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n")),
    Attack("H05-end", patch(LENGTH).removesuffix(b"\r\n") + b"\n"),
    Attack("H05-lf-lf", patch(LENGTH).removesuffix(b"\r\n\r\n") + b"\n\nhello\r\n\r\n"),
    Attack("H06-bare-cr", field(b"X-A: b\rc")),
    Attack("H06-cr-cr-lf", field(b"X-A: b\r")),
    Attack("H06-bare-cr-field", field(b"X-A: b\rX-B: c")),
    Attack("H07-folded", field(b"X-A: b\r\n c")),
    Attack("H07-folded-tab", field(b"X-A: b\r\n\tc")),
    Attack("H07-folded-first", PLAIN.replace(b"Host:", b" Host:", 1)),
    Attack("H08-space", field(b"X-A : b")),
    Attack("H08-tab", field(b"X-A\t: b")),
    Attack("H08-length", patch(b"Content-Length : 5\r\n", b"hello")),
    Attack("H08-leading-space", PLAIN.replace(b"\r\n", b"\r\n X-A: b\r\n", 1)),
    Attack("H09-nul", field(b"X-A: b\0c")),
    Attack("H09-0x01", field(b"X-A: b\x01c")),
    Attack("H09-0x7f", field(b"X-A: b\x7fc")),
    Attack("H09-escape", field(b"X-A: \x1b[31m")),
    Attack("H09-nul-in-name", field(b"X\0A: b")),
    Attack("H09-utf-8-in-name", field("X-Ä: b".encode())),
    Attack("H09-no-name", field(b": b")),
    Attack("H09-no-colon", field(b"X-A b")),
    Attack("H09-name-alone", field(b"X-A")),
    Attack("H09-brackets-in-name", field(b"X(A): b")),
    Attack("H09-space-in-name", field(b"X A: b")),
    Attack("H27-none", host(b"")),
    Attack("H27-two", host(b"Host: upload.example\r\nHost: evil.example\r\n")),
    Attack("H27-twice", host(b"Host: upload.example\r\nHost: upload.example\r\n")),
    Attack("H27-userinfo", host(b"Host: user@upload.example\r\n")),
    Attack("H27-path", host(b"Host: upload.example/path\r\n")),
    Attack("H27-comma", host(b"Host: upload.example, evil.example\r\n")),
    Attack("H27-space", host(b"Host: upload .example\r\n")),
    Attack("H27-port", host(b"Host: upload.example:80a\r\n")),
    Attack("H27-ipv6", host(b"Host: [::1\r\n")),
    Attack("H27-quotes", host(b'Host: "upload.example"\r\n')),
    Attack("H27-backslash", host(b"Host: upload.example\\x\r\n")),
    Attack("H27-question", host(b"Host: upload.example?x\r\n")),
)


@FIELDS
def test_a_broken_field_is_refused(tus: Endpoint, attack: Attack, cut: str) -> None:
    """H05 to H09, H27."""
    assert_refused(tus, attack, cut)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("value", [b"\xe9", b"\xff\xfe\x80", "é☃".encode(), b"\xc0\xae"])
def test_obs_text_is_opaque(tus: Endpoint, value: bytes, cut: str) -> None:
    """H10: accepted or 400, and never decoded blindly."""
    scene = Scene(tus)
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(scene.aim(field(b"X-A: b" + value)), cut))
        answer = wire.read()
        assert answer.status in {204, 400}
    scene.assert_target_holds(b"hello" if answer.status == 204 else b"")


@pytest.mark.parametrize("name", ["Upload-Metadata", "Upload-Concat", "Upload-Length", "Host"])
def test_obs_text_in_a_field_of_ours_is_400(tus: Endpoint, name: str) -> None:
    """H10."""
    before = tus.files()
    assert tus.post({"Upload-Length": "5", name: "final;/files/\xe9 5"}).status == 400
    assert tus.files() == before


def flood(tus: Endpoint, request: bytes) -> int:
    """Send a huge *request* with poison behind it; return the status of its refusal."""
    scene = Scene(tus)
    data = scene.aim(request) + scene.poison
    before = tus.server.memory()
    with tus.connect() as wire:
        wire.send_pieces(data[at : at + 50_000] for at in range(0, len(data), 50_000))
        status = read_refusal(wire).status
    assert tus.server.memory() - before < 16_000_000
    scene.assert_unharmed()
    return status


def test_a_huge_head_is_431_and_takes_no_memory(tus: Endpoint) -> None:
    """H37."""
    assert flood(tus, field(b"X-A: " + b"a" * 1_000_000)) == 431
    assert flood(tus, field(b"a" * 1_000_000 + b": b")) == 431
    assert flood(tus, field(b"\r\n".join(b"X-%d: a" % n for n in range(50_000)))) == 431
    assert flood(tus, field(b"\r\n".join([b"A: b"] * 50_000))) == 431


def test_many_small_fields_are_431(tus: Endpoint) -> None:
    """H37: their number counts, not only their size."""
    assert flood(tus, field(b"\r\n".join(b"X-%d: a" % n for n in range(1000)))) == 431


def test_a_huge_target_is_414(tus: Endpoint) -> None:
    """H37."""
    for target in (b"/files/" + b"a" * 1_000_000, b"/files/?" + b"a" * 20_000):
        assert flood(tus, PLAIN.replace(b"@TARGET@", target)) == 414


def test_a_huge_method_is_refused(tus: Endpoint) -> None:
    """H37: RFC 9110 section 15.6.2 would have 501."""
    assert flood(tus, PLAIN.replace(b"PATCH", b"P" * 65536)) in {400, 501}


@pytest.mark.parametrize("cut", ["whole", "random"])
def test_a_head_of_a_usual_browser_fits(tus: Endpoint, cut: str) -> None:
    """H37: cookies and tokens of some KiB, and dozens of fields."""
    scene = Scene(tus)
    lines = [b"X-Header-%d: %s" % (number, b"v" * 100) for number in range(60)]
    request = field(
        b"\r\n".join([b"Cookie: " + b"c" * 8000, b"Authorization: " + b"t" * 4000, *lines])
    )
    with tus.connect() as wire:
        wire.send_pieces(cut_into_pieces(scene.aim(request), cut))
        assert wire.read().status == 204
    scene.assert_target_holds(b"hello")


def raw_answer(wire: Wire, request: bytes) -> bytes:
    """Return every byte that *request* is answered with until the server closes."""
    wire.send(request)
    wire.half_close()
    return wire.read_to_end()


def test_an_answer_without_a_body_has_none(shop: Endpoint) -> None:
    """H56: not a byte after the head, and no Content-Length on 204."""
    upload = shop.finish(b"hello")
    etag = shop.ask("GET", upload)["ETag"]
    begun = shop.create(10)
    for request in (
        render_request("HEAD", upload),
        render_request("HEAD", "/files/unknown"),
        render_request("HEAD", "/elsewhere"),
        render_request("HEAD", upload, {"Tus-Resumable": "9"}),
        render_request("HEAD", shop.base),
        render_request("OPTIONS", shop.base),
        render_request("GET", upload, {"If-None-Match": etag}),
        shop.render_append(begun, 0, b"hello"),
        render_request("DELETE", begun),
    ):
        with shop.connect() as wire:
            answer = raw_answer(wire, request)
        head, separator, rest = answer.partition(b"\r\n\r\n")
        assert separator
        assert rest == b""
        if head.startswith(b"HTTP/1.1 204"):
            assert b"\r\ncontent-length:" not in head.lower()
            assert b"\r\ntransfer-encoding:" not in head.lower()


def test_a_refused_head_has_no_body_either(tus: Endpoint) -> None:
    """H56: the method is known although the rest of the head is broken."""
    upload = tus.create(5)
    for headers in ({"Host": None}, {"Content-Length": "-1"}, {"Transfer-Encoding": "gzip"}):
        with tus.connect() as wire:
            answer = raw_answer(wire, render_request("HEAD", upload, headers))
        assert answer.startswith(b"HTTP/1.1 ")
        assert answer.partition(b"\r\n\r\n")[2] == b""


def test_nothing_that_a_client_sends_breaks_an_answer(tus: Endpoint) -> None:
    """H57: Date, one status line, and fields that the strict reader of these tests accepts."""
    nasty = "%0d%0aX-Injected:%201"
    upload = tus.create(5, {"Upload-Metadata": metadata(a="\r\nX-Injected: 1")})
    for method, target, headers in (
        ("HEAD", upload, {}),
        ("HEAD", f"/files/{nasty}", {}),
        ("GET", f"/files/{nasty}", {"Origin": f"http://{nasty}"}),
        ("POST", "/files/", {"Upload-Length": nasty}),
        ("POST", "/files/", {"Upload-Length": "5", "Upload-Metadata": nasty}),
        ("POST", "/files/", {"Upload-Length": "5", "Upload-Concat": f"final;{nasty}"}),
        ("PATCH", upload, {"Upload-Offset": nasty, "Content-Type": OCTETS}),
        ("PATCH", upload, {"Upload-Offset": "0", "Content-Type": nasty}),
        ("POST", upload, {"X-HTTP-Method-Override": nasty}),
        ("DELETE", upload, {"Tus-Resumable": nasty}),
        ("BREW", upload, {}),
    ):
        answer = tus.ask(method, target, headers)
        assert "X-Injected" not in answer
        assert answer["Date"].endswith(" GMT")
        assert answer.reason
        assert b"\r" not in answer.body
    tus.assert_holds(upload, b"")
