"""Tickets take forms: the file at any place, however it comes, and never half of it."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from fileloft_fast.storages.file_end import STEP_BYTES
from tests.certificates import Authority
from tests.server import Server
from tests.storages.app_server import KEY, AppServer
from tests.storages.dart import BOUNDARY, upload
from tests.storages.test_objects import files, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = {
    "FILELOFT_STORAGES": "public=?public=1,small=?max_size=1M",
    "FILELOFT_STORAGE_KEYS": KEY,
}
SIZES = [0, 1, 1000, 200_000, 3_000_000]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with Server(tmp_path_factory.mktemp("data"), SETTINGS) as server:
        yield AppServer(server)


@pytest.fixture(scope="module")
def secure_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    settings = SETTINGS | authority.issue().settings()
    with Server(tmp_path_factory.mktemp("data"), settings, tls=authority.client()) as server:
        yield AppServer(server)


def sent(app: AppServer, request: bytes, cuts: list[int] = []) -> int:  # noqa: B006 - not changed
    """Send *request* as it is, in pieces; return the status of its answer."""
    with ExitStack() as stack:
        plain = socket.create_connection(app.server.address, timeout=20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = app.server.tls
        client = plain if tls is None else tls.wrap_socket(plain, server_hostname="127.0.0.1")
        stack.enter_context(client)
        at = 0
        for end in (*cuts, len(request)):
            with suppress(ConnectionError):  # a body that is refused need not be taken
                client.sendall(request[at:end])
            at = end
        answer = stack.enter_context(http.client.HTTPResponse(client))
        answer.begin()
        return answer.status


def posted(app: AppServer, url: str, body: bytes, boundary: str = BOUNDARY) -> Any:
    return app.ask("POST", url, body, Content_Type=f"multipart/form-data; boundary={boundary}")


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize("size", SIZES)
def test_what_a_file_uploader_sends_for_a_multipart_description_is_stored(
    app: AppServer, size: int
) -> None:
    path = f"dart/{size}"
    data = os.urandom(size)
    description = app.ticket(path, type="multipart", file_name='a"b.png')
    assert sent(app, upload(description, data)) == 204
    assert not app.exists(path)
    assert app.verify(path)
    assert app.retrieve(path) == data
    shown = app.ask("HEAD", f"/public/{path}")
    assert shown.fields["content-type"] == "application/octet-stream"


def test_a_form_is_stored_wherever_the_network_cuts_it(app: AppServer) -> None:
    data = os.urandom(300_000)
    for number, cut in enumerate([-200, -100, -80, -75, -74, -60, -3, 0, 1, 40, 100, 400]):
        path = f"cut/{number}"
        request = upload(app.ticket(path, type="multipart"), data)
        begin = request.index(data)
        where = begin + cut if cut >= 0 else len(request) + cut
        assert sent(app, request, [where]) == 204
        assert app.verify(path)
        assert app.retrieve(path) == data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_file_may_stand_between_fields(
    app: AppServer, secure_app: AppServer, size: int, *, tls: bool, chunked: bool
) -> None:
    app = secure_app if tls else app
    path = f"between/{size}/{chunked}"
    # what begins like the boundary, and the boundary without the line before it
    data = os.urandom(size) + b"\r\n--" + BOUNDARY[:-1].encode() + b"\r\n" + BOUNDARY.encode()
    body = part("a", b"1") + part("any", data, "x.bin") + part("b", b"2" * 10_000) + END + b"epi"
    url = urlsplit(app.ticket(path)["url"])
    head = (
        f"POST {url.path}?{url.query} HTTP/1.1\r\nHost: a\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    ).encode()
    if chunked:
        pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        framed = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        request = head + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert sent(app, request, [len(head) + 30]) == 204
    assert app.verify(path)
    assert app.retrieve(path) == data


@pytest.mark.parametrize("known", [False, True], ids=["any type", "a type"])
def test_the_type_of_an_object_is_the_tickets_else_that_of_the_part(
    app: AppServer, *, known: bool
) -> None:
    for number, (said, shown) in enumerate(
        [("image/png", "image/png"), ("b\u00e4d", "application/octet-stream")]
    ):
        path = f"type/{number}/{known}"
        head = (
            f'--{BOUNDARY}\r\nContent-Type: {said}\r\nContent-Disposition: form-data; name="file"'
        )
        body = head.encode() + b"\r\n\r\nx\r\n" + END
        url = app.ticket(path, content_type="text/csv" if known else "")["url"]
        assert posted(app, url, body).status == 204
        assert app.verify(path)
        told = app.ask("HEAD", f"/public/{path}").fields["content-type"]
        assert told == ("text/csv" if known else shown)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        END,
        part("a", b"1") + END,
        part("file", b"x"),
        part("file", b"x" * 300_000),
        part("file", b"x" * 300_000) + END[:-4],
        part("file", b"x", "a") + part("more", b"y", "b") + END,
        part("file", b"x" * 300_000) + part("more", b"y", "b") + END,
        part("file", b"x\r\n--" + BOUNDARY.encode() + b"goes on") + END,
        part("file", b"y" * 300_000 + b"\r\n--" + BOUNDARY.encode() + b"goes on") + END,
        part("a", b"1" * 70_000) + part("file", b"x") + END,
        part("file", b"x") + part("a", b"1" * 70_000) + END,
        part("a", b"\xff") + part("file", b"x") + END,
    ],
    ids=range(14),
)
def test_what_is_no_form_with_one_file_is_refused_and_leaves_nothing(
    app: AppServer, body: bytes
) -> None:
    before = files(app)
    description = app.ticket("no/form")
    answer = posted(app, description["url"], body)
    assert (answer.status, answer.body[:9]) == (400, b"ERR_FORM:")
    assert posted(app, description["url"], body, "x" * 71).status == 400
    assert not app.verify("no/form")
    wait_until(lambda: files(app) <= before)


def test_a_refused_form_does_not_spend_its_ticket(app: AppServer) -> None:
    description = app.ticket("again")
    assert posted(app, description["url"], part("a", b"1") + END).status == 400
    assert posted(app, description["url"], part("file", b"whole") + END).status == 204
    assert posted(app, description["url"], part("file", b"again") + END).status == 403
    assert app.verify("again")
    assert app.retrieve("again") == b"whole"


@pytest.mark.parametrize("size", [1001, 200_000, 3_000_000])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_file_that_is_too_large_is_refused_and_leaves_nothing(
    app: AppServer, secure_app: AppServer, size: int, *, tls: bool
) -> None:
    app = secure_app if tls else app
    before = files(app)
    description = app.ticket("large", max_size=1000, type="multipart")
    assert sent(app, upload(description, bytes(size))) == 413
    wait_until(lambda: files(app) <= before)
    assert sent(app, upload(description, bytes(1000))) == 204


def test_fields_around_a_file_do_not_count_as_its_size(app: AppServer) -> None:
    fields = part("a", b"1" * 30_000)
    for size in (MIB, MIB + 1):
        url = app.ticket(f"exact/{size}", "small", max_size=2 * MIB)["url"]
        answer = posted(app, url, fields + part("file", bytes(size)) + fields + END)
        assert answer.status == (204 if size == MIB else 413)


def test_a_form_that_is_cut_leaves_nothing_and_may_come_again(app: AppServer) -> None:
    before = files(app)
    description = app.ticket("broken", type="multipart")
    request = upload(description, os.urandom(400_000))
    with socket.create_connection(app.server.address) as client:
        client.sendall(request[:300_000])
        wait_until(lambda: files(app) != before)
    wait_until(lambda: files(app) == before)
    assert not app.verify("broken")
    assert sent(app, upload(description, b"whole")) == 204
    assert app.verify("broken")


def test_where_nothing_may_be_replaced_a_form_is_refused_before_it_comes(app: AppServer) -> None:
    assert app.store("taken", b"first").status == 200
    url = urlsplit(app.ticket("taken", overwrite=False)["url"])
    head = (
        f"POST {url.path}?{url.query} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\n"
    )
    assert sent(app, f"{head}\r\n".encode()) == 409
    assert sent(app, f"{head}If-None-Match: *\r\n\r\n".encode()) == 412


def test_a_spent_ticket_is_refused_before_its_body_comes(app: AppServer) -> None:
    description = app.ticket("spent")
    assert app.upload(description, b"x").status == 204
    url = urlsplit(description["url"])
    head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
    assert sent(app, head.encode()) == 403


def test_a_part_of_an_object_is_not_taken_for_the_whole(app: AppServer) -> None:
    url = app.ticket("ranged")["url"]
    assert app.ask("PUT", url, b"x", Content_Range="bytes 0-0/2").status == 400


def test_a_form_is_not_taken_compressed(app: AppServer) -> None:
    description = app.ticket("coded")
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    answer = app.ask("POST", description["url"], b"x", Content_Type=kind, Content_Encoding="zstd")
    assert answer.status == 415


def test_a_connection_goes_on_after_a_form(app: AppServer) -> None:
    first, second = (upload(app.ticket(f"kept/{n}", type="multipart"), b"x" * 9) for n in (1, 2))
    with socket.create_connection(app.server.address, timeout=20) as client:
        client.sendall(first + second)
        for _ in range(2):
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.status == 204
            assert not answer.will_close


def test_the_end_of_a_long_file_is_found_while_it_comes(app: AppServer) -> None:
    data = os.urandom(MIB) * (STEP_BYTES // MIB + 1) + b"\r\n--" + BOUNDARY[:-1].encode()
    description = app.ticket("long", type="multipart", max_size=len(data))
    assert sent(app, upload(description, data)) == 204
    assert app.verify("long")
    assert app.retrieve("long") == data


@pytest.mark.parametrize("size", [0, 100, 2_000_000])
def test_curl_posts_a_form(app: AppServer, tmp_path: Path, size: int) -> None:
    curl = shutil.which("curl")
    assert curl is not None
    file = tmp_path / 'a "file".bin'
    file.write_bytes(os.urandom(size))
    path = f"curl/{size}"
    quoted = str(file).replace('"', '\\"')
    ran = subprocess.run(
        [
            *(curl, "-sS", "-o", "-", "-w", "%{http_code}", "-F", "a=1"),
            *("-F", f'file=@"{quoted}"', "-F", "b=2", app.ticket(path)["url"]),
        ],
        capture_output=True,
        check=True,
        text=True,
    )
    assert ran.stdout == "204"
    assert app.verify(path)
    assert app.retrieve(path) == file.read_bytes()
