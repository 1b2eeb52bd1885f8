"""tus 1.0, creation-defer-length (T110 to T118)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.endpoint import checksum
from tests.wire import CHUNKED, OCTETS, render_chunks, render_request

if TYPE_CHECKING:
    from tests.endpoint import Endpoint


def assert_deferred(endpoint: Endpoint, upload: str, content: bytes) -> None:
    answer = endpoint.head(upload)
    assert answer["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in answer
    endpoint.assert_holds(upload, content)


def assert_length(endpoint: Endpoint, upload: str, length: int) -> None:
    answer = endpoint.head(upload)
    assert answer["Upload-Length"] == str(length)
    assert "Upload-Defer-Length" not in answer


def test_a_length_can_be_deferred(tus: Endpoint) -> None:
    """T110."""
    upload = tus.create(None)
    assert_deferred(tus, upload, b"")
    assert tus.append(upload, 0, b"hello").status == 204
    assert tus.append(upload, 5, b" world").status == 204
    assert_deferred(tus, upload, b"hello world")


@pytest.mark.parametrize("value", ["0", "2", "true", "", "1.0", "01", "1, 1", "-1"])
def test_a_deferral_that_is_not_1_is_400(tus: Endpoint, value: str) -> None:
    """T111."""
    before = tus.files()
    assert tus.post({"Upload-Defer-Length": value}).status == 400
    assert tus.files() == before


@pytest.mark.parametrize("length", [5, 6, 100])
def test_a_patch_sets_the_length(tus: Endpoint, length: int) -> None:
    """T112."""
    upload = tus.create(None)
    answer = tus.append(upload, 0, b"hello", {"Upload-Length": str(length)})
    assert (answer.status, answer["Upload-Offset"]) == (204, "5")
    assert_length(tus, upload, length)
    tus.assert_holds(upload, b"hello")


@pytest.mark.parametrize("length", ["9", "11", "5"])
def test_a_length_once_set_is_not_changed(tus: Endpoint, length: str) -> None:
    """T113."""
    upload = tus.create(None)
    assert tus.append(upload, 0, b"hello", {"Upload-Length": "10"}).status == 204
    assert tus.append(upload, 5, b"", {"Upload-Length": length}).status == 400
    assert_length(tus, upload, 10)
    assert tus.append(upload, 5, b"world", {"Upload-Length": "10"}).status == 204
    tus.assert_holds(upload, b"helloworld")


@pytest.mark.parametrize(("length", "body"), [("4", b""), ("0", b""), ("7", b"678"), ("x", b"")])
def test_a_length_below_what_is_there_is_400(tus: Endpoint, length: str, body: bytes) -> None:
    """T114."""
    upload = tus.create(None)
    assert tus.append(upload, 0, b"12345").status == 204
    assert tus.append(upload, 5, body, {"Upload-Length": length}).status == 400
    assert_deferred(tus, upload, b"12345")


def test_a_length_above_the_largest_size_is_413(limited: Endpoint) -> None:
    """T115."""
    upload = limited.create(None)
    assert limited.append(upload, 0, b"hello", {"Upload-Length": "1001"}).status == 413
    assert_deferred(limited, upload, b"")
    assert limited.append(upload, 0, b"hello", {"Upload-Length": "1000"}).status == 204
    assert_length(limited, upload, 1000)


def test_an_empty_patch_with_the_length_completes(tus: Endpoint) -> None:
    """T116: how tuspy and tusgo end a stream."""
    upload = tus.create(None)
    assert tus.append(upload, 0, b"hello").status == 204
    answer = tus.append(upload, 5, b"", {"Upload-Length": "5"})
    assert (answer.status, answer["Upload-Offset"]) == (204, "5")
    assert_length(tus, upload, 5)
    tus.assert_holds(upload, b"hello")
    assert tus.append(upload, 5, b"!").status == 413


def test_a_chunked_patch_never_passes_the_length_that_it_sets(tus: Endpoint) -> None:
    """T112 and T067."""
    upload = tus.create(None)
    fields = {"Upload-Offset": "0", "Content-Type": OCTETS, "Upload-Length": "4", **CHUNKED}
    assert tus.ask("PATCH", upload, fields, render_chunks([b"abc", b"def"])).status == 413
    content = tus.stored(upload)
    assert b"abcd".startswith(content)
    tus.assert_holds(upload, content)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_deferred_upload_stops_at_the_largest_size(limited: Endpoint, *, chunked: bool) -> None:
    """T117."""
    upload = limited.create(None)
    assert limited.append(upload, 0, b"a" * 900).status == 204
    fields = {"Upload-Offset": "900", "Content-Type": OCTETS}
    if chunked:
        body = render_chunks([b"b" * 50] * 3)
        answer = limited.ask("PATCH", upload, {**fields, **CHUNKED}, body)
    else:
        answer = limited.ask("PATCH", upload, fields, b"b" * 101)
    assert answer.status == 413
    content = limited.stored(upload)
    assert len(content) <= 1000
    assert (b"a" * 900 + b"b" * 100).startswith(content)
    limited.assert_holds(upload, content)


def test_a_deferral_while_the_extension_is_off_is_404(plain: Endpoint) -> None:
    """T118."""
    before = plain.files()
    assert plain.post({"Upload-Defer-Length": "1"}).status == 404
    assert plain.files() == before
    listed = plain.ask("OPTIONS", plain.base)["Tus-Extension"]
    assert "creation-defer-length" not in listed.split(",")


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "chunked"])
def test_the_length_may_come_with_a_long_checked_body(
    tus: Endpoint, *, chunked: bool, right: bool
) -> None:
    """T114 and T146: what is checked on the way is marked in the record that the length changed."""
    content = bytes(range(250)) * 12_000
    upload = tus.create(None, body=b"kept")
    fields = {
        "Upload-Offset": "4",
        "Upload-Length": "9000000",
        "Upload-Checksum": checksum("sha1", content if right else content[1:]),
        "Content-Type": OCTETS,
    }
    fields |= CHUNKED if chunked else {"Content-Length": str(len(content))}
    body = render_chunks([content]) if chunked else content
    with tus.connect() as wire:
        wire.send(render_request("PATCH", upload, fields))
        wire.send(body[:1_000_000])
        assert tus.offset(upload) == 4
        wire.send(body[1_000_000:])
        assert wire.read().status == (204 if right else 460)
    assert_length(tus, upload, 9_000_000)
    now = b"kept" + (content if right else b"")
    tus.assert_holds(upload, now)
    assert tus.append(upload, len(now), b"more").status == 204
    tus.assert_holds(upload, now + b"more")
