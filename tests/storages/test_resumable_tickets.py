"""The URL of a ticket by the IETF's protocol: a PUT can be resumed, and stays the PUT it was."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from fileloft_fast.storage import issue_ticket, make_path
from tests.resumption import digest_of
from tests.server import Server
from tests.storages.app_server import KEY, AppServer
from tests.storages.conftest import folder_settings
from tests.storages.s3_clients import S3_SETTINGS, boto
from tests.storages.visitors import url_of
from tests.wire import Answer, Wire, render_chunks, render_request

if TYPE_CHECKING:
    from pathlib import Path

DATA: Final = random.Random("ticket").randbytes(300_000)
PARTIAL: Final = "application/partial-upload"
VERSIONS: Final = (3, 5, 6, 8, 10)
LATE: Final = 8
CHUNKED: Final = {"Transfer-Encoding": "chunked"}

Fields = Mapping[str, str | None]


@pytest.fixture
def app(folder_server: Server) -> AppServer:
    """Return an app server whose storages are folders."""
    return AppServer(folder_server)


def speaking(version: int, *, ends: bool = True) -> dict[str, str | None]:
    """Return the fields that say so; version 0 is the final form."""
    named = {"Upload-Draft-Interop-Version": str(version)} if version else {}
    name, value = ("Upload-Incomplete", not ends) if version == 3 else ("Upload-Complete", ends)
    return {"Tus-Resumable": None, **named, name: f"?{value:d}"}


def is_complete(answer: Answer) -> bool | None:
    """Return what *answer* says of the upload's end; None where it says nothing."""
    if "Upload-Incomplete" in answer:
        return answer["Upload-Incomplete"] == "?0"
    flag = answer.get("Upload-Complete")
    return None if flag is None else flag == "?1"


def target(url: str) -> str:
    """Return what a request for *url* asks for."""
    place = urlsplit(url)
    return f"{place.path}?{place.query}" if place.query else place.path


def ask(
    app: AppServer, method: str, url: str, fields: Fields | None = None, body: bytes = b""
) -> Answer:
    """Make a request on a connection of its own and read its answer."""
    request = render_request(method, target(url), {"Tus-Resumable": None, **(fields or {})}, body)
    with Wire(app.server.address) as wire:
        wire.send_pieces([request])
        return wire.read(head=method == "HEAD")


def put(app: AppServer, url: str, body: bytes, version: int = LATE, **more: str) -> Answer:
    """PUT *body*, which is the whole, with more fields."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return ask(app, "PUT", url, {**speaking(version), **named}, body)


def append(
    app: AppServer,
    upload: str,
    offset: int,
    body: bytes,
    version: int = LATE,
    *,
    ends: bool = True,
    fields: Fields | None = None,
) -> Answer:
    """PATCH *body* at *offset*."""
    told = {"Content-Type": PARTIAL, "Upload-Offset": str(offset), **(fields or {})}
    return ask(app, "PATCH", upload, {**speaking(version, ends=ends), **told}, body)


def look(app: AppServer, upload: str, version: int = LATE) -> Answer:
    """HEAD *upload*."""
    return ask(app, "HEAD", upload, {"Upload-Draft-Interop-Version": str(version)})


def cut(app: AppServer, url: str, size: int, version: int = LATE, **more: str) -> str:
    """PUT ``DATA`` until *size* bytes have arrived, break off, and return the upload's path."""
    fields = {**speaking(version), **{key.replace("_", "-"): value for key, value in more.items()}}
    request = render_request("PUT", target(url), fields, DATA)
    with Wire(app.server.address) as wire:
        wire.send(request[: len(request) - len(DATA) + size])
        upload = wire.read_interim(104)["Location"]
        wire.half_close()
        assert wire.read_to_end().startswith(b"HTTP/1.1 400"), "the body is cut"
    return urlsplit(upload).path


@pytest.mark.parametrize("version", VERSIONS)
def test_a_put_is_resumed_and_answered_as_the_plain_one_is(app: AppServer, version: int) -> None:
    url = app.ticket("ietf/cut", content_type="image/png")["url"]
    upload = cut(app, url, 100_000, version)
    assert upload.startswith("/v1/uploads/public/")
    seen = look(app, upload, version)
    assert (seen.status, seen["Upload-Offset"], is_complete(seen)) == (204, "100000", False)
    assert not app.verify("ietf/cut")
    more = append(app, upload, 100_000, DATA[100_000:150_000], version, ends=False)
    assert (more.status in {201, 204}, is_complete(more)) == (True, False)
    last = append(app, upload, 150_000, DATA[150_000:], version)
    assert (last.status, is_complete(last), last.body) == (204, True, b"")
    assert app.ask("PUT", url, b"x").status == 403, "the ticket is spent"
    assert app.verify("ietf/cut")
    assert app.retrieve("ietf/cut") == DATA
    assert app.ask("GET", "/public/ietf/cut").fields["content-type"] == "image/png"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("body", [b"", b"small", DATA])
def test_a_put_that_is_not_cut_is_told_its_upload_and_done(
    app: AppServer, version: int, body: bytes
) -> None:
    url = app.ticket("ietf/whole", max_size=len(DATA))["url"]
    answer = put(app, url, body, version)
    assert (answer.status, is_complete(answer), answer.interim) == (204, True, (104,))
    assert answer.body == b""
    (told,) = answer.before
    assert told["Upload-Draft-Interop-Version"] == str(version)
    assert told["Location"].startswith("http://upload.example/v1/uploads/public/")
    if version > 5:
        assert told["Upload-Limit"].startswith(f"max-size={len(DATA)}")
    assert app.verify("ietf/whole")
    assert app.retrieve("ietf/whole") == body


def test_a_client_that_knows_nothing_of_it_has_its_plain_answer(app: AppServer) -> None:
    named = {"Upload-Draft-Interop-Version": "8"}
    plain: tuple[Fields, ...] = (
        {},
        named,
        {"Upload-Complete": "?1"},  # by the final form, which is not on
        {**named, "Upload-Complete": "true"},
        {"Upload-Draft-Interop-Version": "99", "Upload-Complete": "?1"},
    )
    for fields in plain:
        for method in ("PUT", "POST"):
            answer = ask(app, method, app.ticket("ietf/plain")["url"], fields, b"plain")
            assert (answer.status, answer.interim, is_complete(answer)) == (204, (), None), fields
            assert "Location" not in answer
        refused = ask(app, "PUT", "/public/ietf/plain", fields, b"plain")
        assert (refused.status, refused["Content-Type"]) == (403, "text/plain; charset=utf-8")


def test_what_is_not_the_whole_is_an_upload_until_its_end_is_said(app: AppServer) -> None:
    url = app.ticket("ietf/pieces", content_type="")["url"]
    fields = {**speaking(LATE, ends=False), "Content-Type": "text/plain"}
    made = ask(app, "PUT", url, fields, b"one ")
    assert (made.status, is_complete(made), made["Upload-Offset"]) == (201, False, "4")
    upload = made["Location"]
    assert made.before[0]["Location"] == upload
    chunked = append(app, upload, 4, render_chunks([b"two ", b"three"]), ends=False, fields=CHUNKED)
    assert (chunked.status, is_complete(chunked)) == (204, False)
    # A client of tus looks at the same upload.
    assert ask(app, "HEAD", upload, {"Tus-Resumable": "1.0.0"})["Upload-Offset"] == "13"
    assert not app.verify("ietf/pieces")
    last = append(app, upload, 13, b"")
    assert (last.status, is_complete(last)) == (204, True)
    assert app.verify("ietf/pieces")
    told = app.ask("GET", "/public/ietf/pieces")
    assert (told.body, told.fields["content-type"]) == (b"one two three", "text/plain")


def test_a_body_without_a_length_ends_where_it_says(app: AppServer) -> None:
    url = app.ticket("ietf/chunked", max_size=10)["url"]
    fields = {**speaking(LATE), **CHUNKED}
    over = ask(app, "POST", url, fields, render_chunks([b"123456", b"78901"]))
    assert (over.status, over["Upload-Limit"].partition(",")[0]) == (413, "max-size=10")
    answer = ask(app, "POST", url, fields, render_chunks([b"12345", b"67890"]))
    assert (answer.status, is_complete(answer)) == (204, True)
    assert app.verify("ietf/chunked")
    assert app.retrieve("ietf/chunked") == b"1234567890"


def test_an_upload_is_cancelled_and_its_ticket_good_for_another(app: AppServer) -> None:
    url = app.ticket("ietf/cancelled")["url"]
    upload = ""
    for _ in range(5):  # more than may be unfinished at once
        upload = cut(app, url, 10)
        assert ask(app, "DELETE", upload, {"Upload-Draft-Interop-Version": "8"}).status == 204
        assert look(app, upload).status == 404
    assert put(app, url, b"x").status == 204
    again = append(app, upload, 10, b"x")
    assert (again.status, again["Content-Type"]) == (404, "application/problem+json")


def test_an_overrun_makes_an_end_of_the_upload_alone(app: AppServer) -> None:
    url = app.ticket("ietf/overrun")["url"]
    for _ in range(5):
        fields = {**speaking(LATE, ends=False), "Upload-Length": "6"}
        upload = ask(app, "PUT", url, fields, b"abc")["Location"]
        assert append(app, upload, 3, b"defg", ends=False).status == 400
        assert look(app, upload).status == 404
    assert put(app, url, b"x").status == 204


def test_what_does_not_match_its_digest_is_refused_and_leaves_nothing(app: AppServer) -> None:
    url = app.ticket("ietf/digest")["url"]
    right, wrong = digest_of(DATA), digest_of(b"other")
    for name in ("Repr_Digest", "Content_Digest"):
        answer = put(app, url, b"small", LATE, **{name: wrong})
        assert (answer.status, answer["Content-Type"]) == (400, "application/problem+json")
    upload = cut(app, url, 100_000, Repr_Digest=wrong)
    assert append(app, upload, 100_000, DATA[100_000:]).status == 400
    assert look(app, upload).status == 404
    upload = cut(app, url, 100_000, Repr_Digest=right)
    last = append(app, upload, 100_000, DATA[100_000:])
    assert (last.status, last["Repr-Digest"]) == (204, right)
    assert app.verify("ietf/digest")
    assert app.retrieve("ietf/digest") == DATA


def test_no_more_comes_than_the_ticket_allows(app: AppServer) -> None:
    url = app.ticket("ietf/large", max_size=100)["url"]
    for fields in ({}, {"Upload-Length": "101"}):
        body = b"" if fields else b"x" * 101
        answer = ask(app, "PUT", url, {**speaking(LATE, ends=not fields), **fields}, body)
        assert (answer.status, answer["Upload-Limit"]) == (413, "max-size=100"), fields
    made = ask(app, "PUT", url, speaking(LATE, ends=False), b"x" * 60)
    assert made["Upload-Limit"].startswith("max-size=100, max-age=")
    assert look(app, made["Location"])["Upload-Limit"].startswith("max-size=100, max-age=")
    assert append(app, made["Location"], 60, b"x" * 41).status == 413
    assert append(app, made["Location"], 60, b"x" * 40).status == 204
    assert app.verify("ietf/large")


def test_what_must_not_be_overwritten_stays(app: AppServer) -> None:
    url = app.ticket("ietf/kept", overwrite=False)["url"]
    free = app.ticket("ietf/kept")["url"]
    first = cut(app, url, 10)
    second = cut(app, free, 10, If_None_Match="*")
    assert app.store("ietf/kept", b"kept").status == 200
    for upload in (first, second):
        late = append(app, upload, 10, DATA[10:])
        assert (late.status, late["Content-Type"]) == (409, "application/problem+json")
        assert look(app, upload).status == 404
    refused = put(app, url, b"x")
    assert (refused.status, is_complete(refused), refused.interim) == (409, True, ())
    missed = put(app, free, b"x", If_None_Match="*")
    assert (missed.status, is_complete(missed)) == (412, True)
    assert put(app, free, b"x", If_Match='"a"').status == 412
    assert put(app, free, b"x", Content_Range="bytes 0-0/2").status == 400
    assert app.retrieve("ietf/kept") == b"kept"


def test_of_two_uploads_by_a_ticket_the_first_that_ends_counts(app: AppServer) -> None:
    url = app.ticket("ietf/twice")["url"]
    late, early = cut(app, url, 10), cut(app, url, 20)
    assert append(app, early, 20, DATA[20:]).status == 204
    again = append(app, early, len(DATA), b"", 10)
    assert (again.status, is_complete(again)) == (204, True), "who has lost the answer"
    assert append(app, late, 10, DATA[10:]).status == 403
    assert app.verify("ietf/twice")
    assert app.retrieve("ietf/twice") == DATA


def test_an_upload_may_outlive_its_ticket(app: AppServer) -> None:
    path = make_path("late")
    ticket = issue_ticket(KEY, url=url_of(app.server), path=path, expires_in=2)
    upload = cut(app, ticket.url, 10)
    until = time.monotonic() + 60
    while put(app, ticket.url, b"", If_Match="*").status == 412:  # which spends nothing
        assert time.monotonic() < until
        time.sleep(0.02)
    refused = put(app, ticket.url, b"x")
    assert (refused.status, is_complete(refused)) == (403, True)
    assert append(app, upload, 10, DATA[10:]).status == 204
    assert app.verify(path)
    assert app.retrieve(path) == DATA


def test_a_refusal_is_a_problem_that_says_whose_it_is(app: AppServer) -> None:
    url = app.ticket("ietf/forged")["url"]
    ticketless, forged = "/public/ietf/forged", f"{url}x"
    other = url.replace("ietf/forged", "ietf/other")
    for version in VERSIONS:
        for wrong in (ticketless, forged, other):
            answer = put(app, wrong, b"x", version)
            assert (answer.status, answer.interim) == (403, ())
            assert answer["Content-Type"] == "application/problem+json"
            assert is_complete(answer) is (True if version > 6 else None)
    assert put(app, url.replace("ietf/forged", "a.b"), b"x").status == 400
    for upload in ("/v1/uploads/public/", "/v1/uploads/public/unknown"):
        assert put(app, upload, b"x").status in {403, 405}
    assert put(app, url, b"x", Content_Encoding="zstd").status == 415


def test_a_form_comes_whole(app: AppServer) -> None:
    url = app.ticket("ietf/form", type="multipart")["url"]
    form = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--b--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    refused = ask(app, "POST", "/public/ietf/form", {**speaking(LATE), **kind}, form)
    assert (refused.status, refused["Content-Type"]) == (403, "text/plain; charset=utf-8")
    answer = ask(app, "POST", url, {**speaking(LATE), **kind}, form)
    assert (answer.status, answer.interim, is_complete(answer)) == (204, (), None)
    assert app.verify("ietf/form")
    assert app.retrieve("ietf/form") == b"hello"


def test_options_tells_what_the_storage_takes(app: AppServer) -> None:
    for fields in ({}, {"Upload-Draft-Interop-Version": "8"}):
        answer = ask(app, "OPTIONS", app.ticket("a/b", "private")["url"], fields)
        assert (answer.status, answer["Upload-Limit"]) == (204, "max-size=1048576")
        assert "PUT" in answer["Access-Control-Allow-Methods"]
        assert "PUT" in answer["Allow"]


@pytest.mark.parametrize("mode", ["on", "off"])
def test_the_setting_says_who_is_understood(mode: str, tmp_path: Path) -> None:
    settings = {
        **folder_settings(),
        "FILELOFT_RESUMABLE": mode,
        "FILELOFT_RESUMABLE_MIN_SIZE": "2M",  # more than one of the storages takes
    }
    with Server(tmp_path, settings) as server:
        app = AppServer(server)
        for version in (0, LATE):
            url = app.ticket("ietf/mode", max_size=3_000_000)["url"]
            answer = put(app, url, b"x" * 2_500_000, version)
            told = (104,) if mode == "on" else ()
            assert (answer.status, answer.interim) == (204, told)
            assert is_complete(answer) is (True if mode == "on" else None)
            assert app.verify("ietf/mode")


def test_the_s3_front_knows_nothing_of_it(tmp_path: Path) -> None:
    with Server(tmp_path, S3_SETTINGS) as server, boto(server) as s3:
        app = AppServer(server)
        url = s3.generate_presigned_url("put_object", Params={"Bucket": "public", "Key": "a"})
        fields = {**speaking(LATE), "Host": "{}:{}".format(*server.address)}
        answer = ask(app, "PUT", url, fields, b"x")
        assert (answer.status, answer.interim, is_complete(answer)) == (200, (), None)
        assert put(app, app.ticket("b")["url"], b"x").interim == (104,)


def test_an_object_in_a_bucket_is_resumed_as_one_in_a_folder(bucket_app: AppServer) -> None:
    url = bucket_app.ticket("ietf/bucket")["url"]
    upload = cut(bucket_app, url, 100_000)
    last = append(bucket_app, upload, 100_000, DATA[100_000:])
    assert (last.status, is_complete(last)) == (204, True)
    assert not bucket_app.exists("ietf/bucket")
    assert bucket_app.verify("ietf/bucket")
    assert bucket_app.retrieve("ietf/bucket") == DATA


def test_an_upload_that_waits_for_its_end_survives_a_kill(tmp_path: Path) -> None:
    server = Server(tmp_path, folder_settings())
    app = AppServer(server)
    url = app.ticket("ietf/killed")["url"]
    fields = {**speaking(LATE, ends=False), "Upload-Length": str(len(DATA))}
    upload = ask(app, "PUT", url, fields, DATA)["Location"]
    server.kill()
    with Server(tmp_path, folder_settings()) as again:
        app = AppServer(again)
        assert not app.verify("ietf/killed")
        seen = look(app, upload)
        assert (seen["Upload-Offset"], is_complete(seen)) == (str(len(DATA)), False)
        assert append(app, upload, len(DATA), b"").status == 204
        assert app.verify("ietf/killed")
        assert app.retrieve("ietf/killed") == DATA
