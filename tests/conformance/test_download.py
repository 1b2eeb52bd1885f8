"""Downloads (FILELOFT_ENABLE_DOWNLOAD): ranges, validators, names and what is never sent."""

from __future__ import annotations

import re

import pytest

from tests.endpoint import Endpoint, metadata
from tests.wire import Answer, NoAnswerError, render_request

CONTENT = bytes(range(256)) * 4
BIG = bytes(range(251)) * 20_000


def get(endpoint: Endpoint, upload: str, **headers: str) -> Answer:
    return endpoint.ask("GET", upload, {name.replace("_", "-"): v for name, v in headers.items()})


@pytest.mark.parametrize("content", [b"x", CONTENT, BIG], ids=["byte", "kib", "mib"])
def test_a_finished_upload_is_sent_whole(shop: Endpoint, content: bytes) -> None:
    answer = get(shop, shop.finish(content))
    assert (answer.status, answer["Content-Length"]) == (200, str(len(content)))
    assert answer.body == content
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "Content-Range" not in answer


def test_downloads_keep_the_connection(shop: Endpoint) -> None:
    small, big = shop.finish(CONTENT), shop.finish(BIG)
    with shop.connect() as wire:
        wire.send(b"".join(render_request("GET", target) for target in (big, small, big)))
        wire.send(render_request("HEAD", small))
        assert [wire.read().body for _ in range(3)] == [BIG, CONTENT, BIG]
        assert wire.read(head=True)["Upload-Offset"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-9", 0, 10),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1023-", 1023, 1024),
        ("bytes=1000-5000", 1000, 1024),
        ("bytes=-1", 1023, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-5000", 0, 1024),
        ("Bytes=5-6", 5, 7),
    ],
)
def test_a_range_is_sent(shop: Endpoint, wanted: str, start: int, end: int) -> None:
    answer = get(shop, shop.finish(CONTENT), Range=wanted)
    assert answer.status == 206
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/1024"
    assert answer.body == CONTENT[start:end]


@pytest.mark.parametrize("wanted", ["bytes=1024-", "bytes=1024-1030", "bytes=9999-", "bytes=-0"])
def test_a_range_outside_the_file_is_416(shop: Endpoint, wanted: str) -> None:
    answer = get(shop, shop.finish(CONTENT), Range=wanted)
    assert answer.status == 416
    assert answer["Content-Range"] == "bytes */1024"


@pytest.mark.parametrize(
    "wanted", ["bytes=5-1", "bytes=a-b", "bytes=-", "items=0-1", "0-5", "bytes 0-5", "bytes=--1"]
)
def test_what_is_no_range_is_ignored(shop: Endpoint, wanted: str) -> None:
    answer = get(shop, shop.finish(CONTENT), Range=wanted)
    assert (answer.status, answer.body) == (200, CONTENT)


def test_several_ranges_get_the_whole(shop: Endpoint) -> None:
    answer = get(shop, shop.finish(CONTENT), Range="bytes=0-1,5-6")
    assert (answer.status, answer.body) == (200, CONTENT)


def test_a_client_that_has_the_bytes_gets_304(shop: Endpoint) -> None:
    upload = shop.finish(CONTENT)
    etag = get(shop, upload)["ETag"]
    assert re.fullmatch(r'"[^"]+"', etag)
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        with shop.connect() as wire:
            answer = wire.ask(render_request("GET", upload, {"If-None-Match": known}))
            assert (answer.status, answer["ETag"]) == (304, etag)
            assert wire.ask(render_request("HEAD", upload)).status == 200
    answer = get(shop, upload, If_None_Match='"other"')
    assert (answer.status, answer.body) == (200, CONTENT)


def test_if_modified_since_counts_without_if_none_match(shop: Endpoint) -> None:
    upload = shop.finish(CONTENT)
    modified = get(shop, upload)["Last-Modified"]
    assert get(shop, upload, If_Modified_Since=modified).status == 304
    old = "Wed, 25 Jun 2014 16:00:00 GMT"
    assert get(shop, upload, If_Modified_Since=old).status == 200
    assert get(shop, upload, If_Modified_Since=modified, If_None_Match='"x"').status == 200


def test_the_etags_of_two_uploads_differ(shop: Endpoint) -> None:
    first, second = shop.finish(CONTENT), shop.finish(CONTENT)
    assert get(shop, first)["ETag"] != get(shop, second)["ETag"]


def test_if_range_sends_the_whole_where_the_file_is_another(shop: Endpoint) -> None:
    upload = shop.finish(CONTENT)
    etag = get(shop, upload)["ETag"]
    answer = get(shop, upload, Range="bytes=0-9", If_Range=etag)
    assert (answer.status, answer.body) == (206, CONTENT[:10])
    for other in ('"other"', f"W/{etag}", "Wed, 25 Jun 2014 16:00:00 GMT"):
        answer = get(shop, upload, Range="bytes=0-9", If_Range=other)
        assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize("content", [b"", b"abc"])
def test_an_unfinished_upload_is_409(shop: Endpoint, content: bytes) -> None:
    upload = shop.create_holding(content, 5)
    answer = get(shop, upload)
    assert answer.status == 409
    assert content == b"" or content not in answer.body
    shop.assert_holds(upload, content)


def test_an_upload_of_deferred_length_is_409(shop: Endpoint) -> None:
    upload = shop.create(None)
    assert shop.append(upload, 0, b"abc").status == 204
    assert get(shop, upload).status == 409


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        *((kind, "inline") for kind in ("text/plain", "image/png", "video/mp4", "audio/ogg")),
        *((kind, "inline") for kind in ("text/plain; charset=utf-8", "IMAGE/PNG")),
        *((kind, "attachment") for kind in ("text/html", "image/svg+xml", "application/pdf")),
        *((kind, "attachment") for kind in ("application/javascript", "text/xml", "x/y")),
    ],
)
def test_only_harmless_types_are_shown(shop: Endpoint, kind: str, form: str) -> None:
    upload = shop.finish(CONTENT, {"Upload-Metadata": metadata(filetype=kind, filename="a.b")})
    answer = get(shop, upload)
    assert answer["Content-Type"] == kind
    assert answer["Content-Disposition"] == f'{form}; filename="a.b"'
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "kind",
    ["", "text", "text/plain\r\nX-Injected: 1", "a/b, c/d", "text/html;", "a/" + "b" * 300, "ü/x"],
)
def test_a_type_that_is_none_is_unknown_bytes(shop: Endpoint, kind: str) -> None:
    answer = get(shop, shop.finish(CONTENT, {"Upload-Metadata": metadata(filetype=kind)}))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment"


def test_no_metadata_is_unknown_bytes_without_a_name(shop: Endpoint) -> None:
    answer = get(shop, shop.finish(CONTENT))
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == "attachment"


def test_the_keys_of_other_clients_are_read_too(shop: Endpoint) -> None:
    sent = metadata(name="a.txt", type="text/plain")
    answer = get(shop, shop.finish(CONTENT, {"Upload-Metadata": sent}))
    assert answer["Content-Disposition"] == 'inline; filename="a.txt"'


@pytest.mark.parametrize(
    "name",
    ["plain.txt", "with space.txt", "ünï☃.txt", 'qu"ote.txt', "back\\slash", "100%.txt", "a;b"],
)
def test_a_name_is_quoted_as_rfc_6266_says(shop: Endpoint, name: str) -> None:
    answer = get(shop, shop.finish(CONTENT, {"Upload-Metadata": metadata(filename=name)}))
    pattern = r"attachment; filename=\"[^\"\\%]*\"(; filename\*=UTF-8''[A-Za-z0-9._~%-]+)?"
    assert re.fullmatch(pattern, answer["Content-Disposition"])


def test_inner_files_are_never_sent(shop: Endpoint) -> None:
    upload = shop.finish(CONTENT, {"Upload-Metadata": metadata(filename="secret")})
    names = shop.files()
    assert f"{upload.removeprefix(shop.base)}.info" in names
    finished = {upload}
    for name in sorted(names):
        target = shop.base + name
        if "." in name or not shop.info_file(target).exists():
            assert get(shop, target).status == 404
    for target in (
        f"{upload}.info",
        f"{upload}%2einfo",
        f"{upload}/",
        f"{upload}/../{upload[7:]}.info",
    ):
        assert target not in finished
        answer = get(shop, target)
        assert answer.status in {400, 404}
        assert b"secret" not in answer.body


def test_downloads_that_are_off_are_405(tus: Endpoint) -> None:
    upload = tus.finish(CONTENT)
    answer = get(tus, upload)
    assert answer.status == 405
    assert "GET" not in answer["Allow"]
    assert CONTENT not in answer.body


def test_readers_share_a_file_while_one_of_them_stalls(shop: Endpoint) -> None:
    big = BIG * 4
    upload = shop.finish(big)
    with shop.connect() as slow:
        slow.send(render_request("GET", upload))
        for _ in range(3):
            assert get(shop, upload).body == big
        assert slow.read().body == big


def test_a_reader_that_goes_away_harms_nobody(shop: Endpoint) -> None:
    upload = shop.finish(BIG * 4)
    for _ in range(5):
        with shop.connect() as wire:
            wire.send(render_request("GET", upload))
            assert wire.socket.recv(1000)
            wire.reset()
    assert get(shop, upload).body == BIG * 4


def test_a_deleted_file_is_not_sent_by_halves_and_called_whole(shop: Endpoint) -> None:
    """A download that runs when its file goes: all the bytes, or a closed connection."""
    big = BIG * 4
    upload = shop.finish(big)
    with shop.connect() as wire:
        wire.send(render_request("GET", upload))
        assert shop.ask("DELETE", upload).status == 204
        try:
            answer = wire.read()
        except NoAnswerError:
            return
        assert answer.status in {404, 410} or answer.body == big
    shop.assert_gone(upload)
