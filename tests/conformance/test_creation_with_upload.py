"""tus 1.0, creation-with-upload (T120 to T128)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint, checksum
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet


def test_the_first_bytes_come_with_the_creation(tus: Endpoint) -> None:
    """T120."""
    answer = tus.post({"Upload-Length": "100", "Content-Type": OCTETS}, b"hello")
    assert (answer.status, answer["Upload-Offset"]) == (201, "5")
    upload = tus.path_of(answer)
    tus.assert_holds(upload, b"hello")
    assert tus.head(upload)["Upload-Length"] == "100"


@pytest.mark.parametrize("size", [1, 5, 4096, 65_536, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_whole_file_comes_with_the_creation(tus: Endpoint, size: int, *, chunked: bool) -> None:
    """T121."""
    content = bytes(range(251)) * (size // 251 + 1)
    content = content[:size]
    fields = {"Upload-Length": str(size), "Content-Type": OCTETS}
    if chunked:
        answer = tus.post({**fields, **CHUNKED}, render_chunks([content[:1], content[1:]]))
    else:
        answer = tus.post(fields, content)
    assert (answer.status, answer["Upload-Offset"]) == (201, str(size))
    tus.assert_holds(tus.path_of(answer), content)


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", None])
def test_a_body_of_another_type_is_415_and_creates_nothing(tus: Endpoint, kind: str | None) -> None:
    """T122."""
    before = tus.files()
    assert tus.post({"Upload-Length": "5", "Content-Type": kind}, b"hello").status == 415
    assert tus.files() == before


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_longer_than_the_length_is_413(tus: Endpoint, *, chunked: bool) -> None:
    """T123."""
    before = tus.uploads()
    fields = {"Upload-Length": "5", "Content-Type": OCTETS}
    if chunked:
        answer = tus.post({**fields, **CHUNKED}, render_chunks([b"hello", b"!"]))
    else:
        answer = tus.post(fields, b"hello!")
    assert answer.status == 413
    for name in tus.uploads() - before:
        assert b"hello".startswith(tus.stored(tus.base + name))


def test_a_body_longer_than_the_largest_size_is_413(limited: Endpoint) -> None:
    """T123, of a deferred length."""
    before = limited.files()
    answer = limited.post({"Upload-Defer-Length": "1", "Content-Type": OCTETS}, b"x" * 1001)
    assert answer.status == 413
    assert limited.files() == before


def test_a_body_that_will_be_refused_is_never_asked_for(limited: Endpoint) -> None:
    """T124."""
    before = limited.files()
    fields = {"Upload-Length": "1001", "Content-Type": OCTETS, "Content-Length": "1001"}
    answer = limited.post({**fields, "Expect": "100-continue"})
    assert (answer.status, answer.interim) == (413, ())
    assert limited.files() == before


def test_the_body_is_asked_for(tus: Endpoint) -> None:
    """T124: the other way round."""
    fields = {"Upload-Length": "5", "Content-Type": OCTETS, "Content-Length": "5"}
    with tus.connect() as wire:
        wire.send(render_request("POST", tus.base, {**fields, "Expect": "100-continue"}))
        wire.wait_for_continue()
        wire.send(b"hello")
        answer = wire.read()
    assert (answer.status, answer["Upload-Offset"]) == (201, "5")
    tus.assert_holds(tus.path_of(answer), b"hello")


def test_a_deferred_length_and_a_body(tus: Endpoint) -> None:
    """T125."""
    answer = tus.post({"Upload-Defer-Length": "1", "Content-Type": OCTETS}, b"hello")
    assert (answer.status, answer["Upload-Offset"]) == (201, "5")
    upload = tus.path_of(answer)
    assert tus.head(upload)["Upload-Defer-Length"] == "1"
    tus.assert_holds(upload, b"hello")


def test_an_upload_cut_off_in_its_creation_expires(fleet: Fleet) -> None:
    """T126: nobody knows its URL, so its bytes must not stay for ever."""
    fleeting = fleet.endpoint(ENABLE_EXPIRATION="1", EXPIRATION_TTL="1", SWEEP_INTERVAL="0.2")
    eventually(lambda: not fleeting.uploads())
    fields = {"Upload-Length": "5000000", "Content-Type": OCTETS, "Content-Length": "5000000"}
    with fleeting.connect() as wire:
        wire.send(render_request("POST", fleeting.base, fields))
        wire.send(b"x" * 1_000_000)
        (name,) = eventually(fleeting.uploads)
        upload = fleeting.base + name
        eventually(lambda: fleeting.offset(upload) == 1_000_000)
    fleeting.assert_holds(upload, b"x" * 1_000_000)
    eventually(lambda: not fleeting.data_file(upload).exists())
    eventually(lambda: not fleeting.info_file(upload).exists())
    fleeting.assert_gone(upload)


def test_an_empty_body_for_no_bytes(tus: Endpoint) -> None:
    """T127."""
    answer = tus.post({"Upload-Length": "0", "Content-Type": OCTETS})
    assert (answer.status, answer["Upload-Offset"]) == (201, "0")
    tus.assert_holds(tus.path_of(answer), b"")


def test_a_checksum_that_matches_is_kept(tus: Endpoint) -> None:
    """T128."""
    fields = {"Upload-Length": "5", "Content-Type": OCTETS}
    answer = tus.post({**fields, "Upload-Checksum": checksum("sha1", b"hello")}, b"hello")
    assert (answer.status, answer["Upload-Offset"]) == (201, "5")
    tus.assert_holds(tus.path_of(answer), b"hello")


@pytest.mark.parametrize("size", [5, 2_000_000])
def test_a_checksum_that_does_not_match_is_460_and_keeps_no_data(tus: Endpoint, size: int) -> None:
    """T128."""
    before = tus.uploads()
    fields = {"Upload-Length": str(size), "Content-Type": OCTETS}
    wrong = {"Upload-Checksum": checksum("sha1", b"other")}
    answer = tus.post({**fields, **wrong}, b"h" * size)
    assert answer.status == 460
    for name in tus.uploads() - before:
        tus.assert_holds(tus.base + name, b"")


def test_a_body_while_the_extension_is_off_is_404(plain: Endpoint) -> None:
    """T120: a disabled extension; creation alone goes on."""
    before = plain.files()
    assert plain.post({"Upload-Length": "5", "Content-Type": OCTETS}, b"hello").status == 404
    assert plain.files() == before
    plain.assert_holds(plain.create(5), b"")
