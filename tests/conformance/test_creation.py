"""tus 1.0, creation (T090 to T105, without the Location of T091)."""

from __future__ import annotations

import re

import pytest

from tests.endpoint import Endpoint, metadata
from tests.wire import OCTETS, render_request


def test_post_creates_an_upload(tus: Endpoint) -> None:
    """T090."""
    before = tus.uploads()
    answer = tus.post({"Upload-Length": "100", "Content-Length": "0"})
    assert answer.status == 201
    assert answer["Tus-Resumable"] == "1.0.0"
    upload = tus.path_of(answer)
    assert tus.uploads() - before == {upload.removeprefix(tus.base)}
    tus.assert_holds(upload, b"")


def test_an_upload_of_no_bytes_is_complete_at_once(tus: Endpoint) -> None:
    """T092."""
    upload = tus.create(0)
    answer = tus.head(upload)
    assert (answer["Upload-Offset"], answer["Upload-Length"]) == ("0", "0")
    tus.assert_holds(upload, b"")


def test_an_upload_of_no_bytes_can_be_downloaded(shop: Endpoint) -> None:
    """T092."""
    answer = shop.ask("GET", shop.create(0))
    assert (answer.status, answer.body) == (200, b"")


def test_post_without_a_length_is_400(tus: Endpoint) -> None:
    """T093."""
    before = tus.files()
    for headers in ({}, {"Content-Type": OCTETS}):
        assert tus.post(headers).status == 400
    assert tus.files() == before


@pytest.mark.parametrize(
    "length",
    [
        *("", "-1", "-0", "+5", "abc", "1.5", "0x10", "1e3", "5 5", "5,5", "5;", "1_000"),
        *(str(2**63), str(2**64), "9" * 30, "9" * 5000, "\xb2"),
    ],
)
def test_post_with_a_length_that_is_no_number_is_400(tus: Endpoint, length: str) -> None:
    """T094."""
    before = tus.files()
    assert tus.post({"Upload-Length": length}).status == 400
    assert tus.files() == before


def test_post_with_two_lengths_is_400(tus: Endpoint) -> None:
    """T094."""
    before = tus.files()
    extra = b"Upload-Length: 6\r\n"
    request = render_request("POST", tus.base, {"Upload-Length": "5"}, extra=extra)
    assert tus.exchange(request).status == 400
    assert tus.files() == before


def test_post_of_more_than_the_largest_size_is_413(limited: Endpoint) -> None:
    """T095."""
    before = limited.files()
    for length in (1001, 2**62):
        answer = limited.post({"Upload-Length": str(length)})
        assert answer.status == 413
        assert "Location" not in answer
    assert limited.files() == before


def test_post_of_exactly_the_largest_size_is_created(limited: Endpoint) -> None:
    """T096."""
    upload = limited.create(1000)
    assert limited.append(upload, 0, b"x" * 1000).status == 204
    limited.assert_holds(upload, b"x" * 1000)


def test_post_with_both_kinds_of_length_is_400(tus: Endpoint) -> None:
    """T097."""
    before = tus.files()
    assert tus.post({"Upload-Length": "5", "Upload-Defer-Length": "1"}).status == 400
    assert tus.files() == before


@pytest.mark.parametrize("kind", ["text/plain", OCTETS, "application/x-www-form-urlencoded"])
def test_a_content_type_without_a_body_does_not_matter(tus: Endpoint, kind: str) -> None:
    """T098."""
    answer = tus.post({"Upload-Length": "5", "Content-Type": kind})
    assert answer.status == 201
    tus.assert_holds(tus.path_of(answer), b"")


def test_no_content_length_means_no_body(tus: Endpoint) -> None:
    """T099."""
    answer = tus.post({"Upload-Length": "5", "Content-Length": None})
    assert answer.status == 201
    tus.assert_holds(tus.path_of(answer), b"")


def test_metadata_is_kept(tus: Endpoint) -> None:
    """T100."""
    sent = "filename d29ybGQ=,is_confidential"
    upload = tus.create(5, {"Upload-Metadata": sent})
    assert tus.head(upload)["Upload-Metadata"] == sent
    assert tus.info(upload)["metadata"] == {"filename": "world", "is_confidential": None}


@pytest.mark.parametrize("sent", ["key ,other dmFs", "key,other dmFs", "other dmFs,key"])
def test_a_key_may_have_no_value(tus: Endpoint, sent: str) -> None:
    """T101."""
    assert tus.head(tus.create(5, {"Upload-Metadata": sent}))["Upload-Metadata"] == sent


@pytest.mark.parametrize(
    "sent",
    [
        *(",", "a,", ",a", "a,,b", "a YQ==,a YQ==", "a,a", "a  YQ==", "a YQ== ,b", "a YQ== YQ=="),
        *("a !!!", "a YQ", "a YQ=", "a YQ===", "a _-8=", "a YQ==\tb", "a Y Q=="),
        *("ä YQ==", "a YQ==;b", "a =", "a ====", "a, b YQ=="),
    ],
)
def test_bad_metadata_is_400_and_creates_nothing(tus: Endpoint, sent: str) -> None:
    """T102."""
    before = tus.files()
    assert tus.post({"Upload-Length": "5", "Upload-Metadata": sent}).status == 400
    assert tus.files() == before


def test_an_empty_key_with_a_value_is_400(tus: Endpoint) -> None:
    """T102: its ` dmFs` at the start of a field is OWS; behind a comma it is an empty key."""
    before = tus.files()
    assert tus.post({"Upload-Length": "5", "Upload-Metadata": "a YQ==, dmFs"}).status == 400
    assert tus.files() == before


HOSTILE = [
    b"evil\r\nX-Injected: 1\r\n\r\n",
    b"\x00nul",
    b"../../etc/passwd",
    b"/etc/passwd",
    b'quote".txt',
    b"\x1b[31mred\n2026-01-01 forged log line",
    "\u202egnp.exe".encode(),
    b"\xff\xfe not UTF-8",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_metadata_reaches_no_header_no_name_and_no_log(
    shop: Endpoint, value: bytes
) -> None:
    """T103."""
    sent = metadata(filename=value, name=value, filetype=value, type=value)
    outside = {path.name for path in shop.server.data.parent.iterdir()}
    answer = shop.post(
        {"Upload-Length": "3", "Upload-Metadata": sent, "Content-Type": OCTETS}, b"abc"
    )
    if answer.status == 201:
        upload = shop.path_of(answer)
        assert shop.head(upload)["Upload-Metadata"] == sent
        got = shop.ask("GET", upload)
        assert got.body == b"abc"
        assert "X-Injected" not in got
        assert not {ord(c) for c in str(got.fields)} & {0, 10, 13, 27}
        assert "/" not in got["Content-Disposition"].replace("%2F", "")
        shop.assert_holds(upload, b"abc")
    else:
        assert answer.status == 400
    assert {path.name for path in shop.server.data.parent.iterdir()} == outside
    for line in shop.server.log:
        assert not line.startswith(("X-Injected", "2026-01-01 forged"))
        assert "\x1b" not in line
        assert "\x00" not in line


def test_metadata_of_64_kib_is_refused_or_kept_whole(tus: Endpoint) -> None:
    """T103."""
    sent = metadata(filename="x" * 65536)
    answer = tus.post({"Upload-Length": "3", "Upload-Metadata": sent})
    assert answer.status == 431
    assert answer.closes


def test_metadata_of_8_kib_is_kept_whole(tus: Endpoint) -> None:
    """T103."""
    sent = metadata(filename="x" * 8192)
    assert tus.head(tus.create(3, {"Upload-Metadata": sent}))["Upload-Metadata"] == sent


def test_empty_metadata_is_none(tus: Endpoint) -> None:
    """T104."""
    upload = tus.create(5, {"Upload-Metadata": ""})
    assert not tus.head(upload).get("Upload-Metadata")


def test_ids_cannot_be_guessed(tus: Endpoint) -> None:
    """T105: 128 random bits, in hex."""
    ids = [tus.create(0).removeprefix(tus.base) for _ in range(30)]
    assert len(set(ids)) == len(ids)
    for name in ids:
        assert re.fullmatch(r"[0-9a-f]{32,}", name)
    for place in range(32):
        assert len({name[place] for name in ids}) > 4


def test_files_are_not_readable_by_others(tus: Endpoint) -> None:
    """T105: who has an account on the machine has no upload by that."""
    upload = tus.create(0)
    for path in (tus.data_file(upload), tus.info_file(upload)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_creation_that_is_off_is_404(bare: Endpoint) -> None:
    """T090: a disabled extension."""
    assert bare.post({"Upload-Length": "5"}).status == 404
    assert bare.uploads() == set()
