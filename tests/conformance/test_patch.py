"""tus 1.0, PATCH of a healthy client, and of one that errs (T060 to T073, T077 and T078)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.wire import CHUNKED, OCTETS, Answer, render_chunks, render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint

UNKNOWN = "/files/0123456789abcdef0123456789abcdef"


def assert_appended(answer: Answer, offset: int) -> None:
    assert answer.status == 204
    assert answer["Upload-Offset"] == str(offset)
    assert answer["Tus-Resumable"] == "1.0.0"
    assert answer.body == b""


def test_patch_appends_and_tells_the_offset(tus: Endpoint) -> None:
    """T060."""
    upload = tus.create(5)
    assert_appended(tus.append(upload, 0, b"hello"), 5)
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize(
    "kind",
    [
        "application/octet-stream",
        "application/json",
        "application/offset+octet-streams",
        "text/plain;x=application/offset+octet-stream",
        "application/offset+octet-stream, text/plain",
        "",
        None,
    ],
)
def test_patch_of_another_content_type_is_415_and_stores_nothing(
    tus: Endpoint, kind: str | None
) -> None:
    """T061."""
    upload = tus.create(5)
    answer = tus.append(upload, 0, b"hello", {"Content-Type": kind})
    assert answer.status == 415
    assert "Upload-Offset" not in answer
    tus.assert_holds(upload, b"")


@pytest.mark.parametrize(
    "kind",
    [
        "application/offset+octet-stream; charset=utf-8",
        "application/offset+octet-stream;charset=utf-8",
        "Application/Offset+Octet-Stream",
    ],
)
def test_a_media_type_has_no_case_and_its_parameters_do_not_count(tus: Endpoint, kind: str) -> None:
    """T062."""
    upload = tus.create(5)
    assert_appended(tus.append(upload, 0, b"hello", {"Content-Type": kind}), 5)
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize("offset", [0, 3, 4, 6, 7, 10, 11, 2**62])
def test_patch_at_another_offset_is_409_and_changes_nothing(tus: Endpoint, offset: int) -> None:
    """T063: without an Upload-Offset, which TUSKit would take for success."""
    upload = tus.create_holding(b"12345", 10)
    answer = tus.append(upload, offset, b"67")
    assert answer.status == 409
    assert "Upload-Offset" not in answer
    tus.assert_holds(upload, b"12345")


@pytest.mark.parametrize(
    "offset",
    [
        *(None, "", "-1", "-0", "abc", "1.5", "0.0", "0x10", "0x0", "+5", "+0", "0 0", "0,0"),
        *("0;", "1e0", "9" * 20, str(2**63), str(2**64), "0_0", "\xb2", "0\x0b"),
    ],
)
def test_patch_with_an_offset_that_is_no_number_is_400(tus: Endpoint, offset: str | None) -> None:
    """T064."""
    upload = tus.create(10)
    answer = tus.append(upload, 0, b"67", {"Upload-Offset": offset})
    assert answer.status == 400
    tus.assert_holds(upload, b"")


def test_patch_with_two_different_offsets_is_400(tus: Endpoint) -> None:
    """T064."""
    upload = tus.create(10)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS}
    for second in (b"1", b"00", b""):
        extra = b"Upload-Offset: " + second + b"\r\n"
        answer = tus.exchange(render_request("PATCH", upload, fields, b"67", extra=extra))
        assert answer.status == 400
        tus.assert_holds(upload, b"")


def test_white_space_around_an_offset_is_not_part_of_it(tus: Endpoint) -> None:
    """T064: its ` 5` is OWS on the wire, which is taken off first (RFC 9110 section 5.5)."""
    upload = tus.create(10)
    assert_appended(tus.append(upload, 0, b"67", {"Upload-Offset": "  0\t "}), 2)
    tus.assert_holds(upload, b"67")


def test_patch_of_an_unknown_upload_is_404(tus: Endpoint) -> None:
    """T065."""
    before = tus.files()
    assert tus.append(UNKNOWN, 0, b"hello").status == 404
    assert tus.files() == before
    assert not tus.data_file(UNKNOWN).exists()


def test_patch_of_a_deleted_upload_is_404_or_410(tus: Endpoint) -> None:
    """T065."""
    upload = tus.create(5)
    assert tus.ask("DELETE", upload).status == 204
    assert tus.append(upload, 0, b"hello").status in {404, 410}
    tus.assert_gone(upload)


@pytest.mark.parametrize("size", [6, 10, 200_000])
def test_a_body_longer_than_the_rest_is_413_and_not_stored(tus: Endpoint, size: int) -> None:
    """T066."""
    upload = tus.create_holding(b"12345", 10)
    assert tus.append(upload, 5, b"x" * size).status == 413
    tus.assert_holds(upload, b"12345")


def test_a_declared_body_longer_than_the_rest_is_refused_before_it_is_read(tus: Endpoint) -> None:
    """T066."""
    upload = tus.create_holding(b"12345", 10)
    fields = {"Upload-Offset": "5", "Content-Type": OCTETS, "Content-Length": str(10**15)}
    answer = tus.ask("PATCH", upload, fields)
    assert answer.status == 413
    assert answer.closes
    tus.assert_holds(upload, b"12345")


@pytest.mark.parametrize("pieces", [[b"6789ABC"], [b"67", b"89", b"ABC"], [b"6"] * 500])
def test_a_chunked_body_past_the_length_is_413_and_never_stored_past_it(
    tus: Endpoint, pieces: list[bytes]
) -> None:
    """T067."""
    upload = tus.create_holding(b"12345", 10)
    fields = {"Upload-Offset": "5", "Content-Type": OCTETS, **CHUNKED}
    answer = tus.ask("PATCH", upload, fields, render_chunks(pieces))
    assert answer.status == 413
    offset = tus.offset(upload)
    assert 5 <= offset <= 10
    tus.assert_holds(upload, (b"12345" + b"".join(pieces))[:offset])


@pytest.mark.parametrize("cut", ["fin", "reset"])
@pytest.mark.parametrize("size", [1, 1000, 100_000, 3_000_000])
def test_a_cut_body_keeps_every_byte_that_came(tus: Endpoint, size: int, cut: str) -> None:
    """T068."""
    upload = tus.create(5_000_000)
    content = bytes(range(256)) * (size // 256 + 1)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "5000000"}
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))
        wire.send(content[:size])
        eventually(lambda: tus.offset(upload) == size)
        if cut == "reset":
            wire.reset()
    tus.assert_holds(upload, content[:size])
    rest = b"r" * (5_000_000 - size)
    assert_appended(tus.append(upload, size, rest), 5_000_000)
    tus.assert_holds(upload, content[:size] + rest)


def test_a_cut_chunked_body_keeps_every_byte_that_came(tus: Endpoint) -> None:
    """T068."""
    upload = tus.create(100)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, fields, b"5\r\nhello\r\na\r\nwor"))
        eventually(lambda: tus.offset(upload) == 8)
    tus.assert_holds(upload, b"hellowor")


def test_an_empty_patch_changes_nothing(tus: Endpoint) -> None:
    """T069."""
    upload = tus.create_holding(b"12345", 10)
    assert_appended(tus.append(upload, 5, b""), 5)
    tus.assert_holds(upload, b"12345")


def test_an_empty_patch_of_a_complete_upload_changes_nothing(tus: Endpoint) -> None:
    """T070: fileloft truncates the file here."""
    upload = tus.finish(b"hello")
    assert_appended(tus.append(upload, 5, b""), 5)
    tus.assert_holds(upload, b"hello")
    fields = {"Upload-Offset": "5", "Content-Type": OCTETS, **CHUNKED}
    assert_appended(tus.ask("PATCH", upload, fields, render_chunks([])), 5)
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_byte_too_many_for_a_complete_upload_is_413(tus: Endpoint, *, chunked: bool) -> None:
    """T071."""
    upload = tus.finish(b"hello")
    fields = {"Upload-Offset": "5", "Content-Type": OCTETS}
    if chunked:
        answer = tus.ask("PATCH", upload, {**fields, **CHUNKED}, render_chunks([b"!"]))
    else:
        answer = tus.ask("PATCH", upload, fields, b"!")
    assert answer.status == 413
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize("chunked", [False, True])
def test_offsets_add_up_whatever_the_sizes(tus: Endpoint, *, chunked: bool) -> None:
    """T072 and T073."""
    sizes = [1, 0, 7, 64 * 1024, 8 * 1024 * 1024 - 1]
    upload = tus.create(sum(sizes))
    content = b""
    with tus.connect() as wire:
        for number, size in enumerate(sizes):
            piece = bytes([number]) * size
            fields = {"Upload-Offset": str(len(content)), "Content-Type": OCTETS}
            body = render_chunks([piece[:1], piece[1:]]) if chunked else piece
            framing = CHUNKED if chunked else {}
            answer = wire.ask(render_request("PATCH", upload, {**fields, **framing}, body))
            content += piece
            assert_appended(answer, len(content))
            assert wire.ask(render_request("HEAD", upload))["Upload-Offset"] == str(len(content))
    tus.assert_holds(upload, content)


def test_a_chunked_body_counts_its_content_alone(tus: Endpoint) -> None:
    """T073."""
    upload = tus.create(11)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, **CHUNKED}
    body = render_chunks([b"hello", b" ", b"world"])
    assert_appended(tus.ask("PATCH", upload, fields, body), 11)
    tus.assert_holds(upload, b"hello world")


def test_the_length_may_be_said_again(tus: Endpoint) -> None:
    """T077."""
    upload = tus.create(10)
    assert_appended(tus.append(upload, 0, b"hello", {"Upload-Length": "10"}), 5)
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize("length", ["9", "11", "5", "0", "", "x", "-1"])
def test_the_length_may_not_be_changed(tus: Endpoint, length: str) -> None:
    """T077."""
    upload = tus.create(10)
    assert tus.append(upload, 0, b"hello", {"Upload-Length": length}).status == 400
    assert tus.head(upload)["Upload-Length"] == "10"
    tus.assert_holds(upload, b"")


def test_a_body_is_asked_for_once_everything_else_is_right(tus: Endpoint) -> None:
    """T078."""
    upload = tus.create(5)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "5"}
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, {**fields, "Expect": "100-continue"}))
        wire.wait_for_continue()
        wire.send(b"hello")
        assert_appended(wire.read(), 5)
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"Tus-Resumable": "0.1.0"}, 412),
        ({"Upload-Offset": "3"}, 409),
        ({"Upload-Offset": "x"}, 400),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Length": "6"}, 413),
        ({"Upload-Length": "4"}, 400),
        ({"Upload-Checksum": "foo AAAA"}, 400),
    ],
)
def test_a_refused_body_is_never_asked_for(
    tus: Endpoint, wrong: dict[str, str], status: int
) -> None:
    """T078."""
    upload = tus.create(5)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "5"}
    fields |= {"Expect": "100-continue"} | wrong
    answer = tus.ask("PATCH", upload, fields)
    assert (answer.status, answer.interim) == (status, ())
    tus.assert_holds(upload, b"")


def test_the_body_of_an_unknown_upload_is_never_asked_for(tus: Endpoint) -> None:
    """T078."""
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "5"}
    answer = tus.ask("PATCH", UNKNOWN, {**fields, "Expect": "100-continue"})
    assert (answer.status, answer.interim) == (404, ())
