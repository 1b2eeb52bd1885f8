"""Named storages: tickets, verification, and what may be seen when; in folders and in a bucket."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast.storages.ticket import Ticket, sign_ticket
from tests.server import Server
from tests.storages.app_server import KEY, AppServer

if TYPE_CHECKING:
    from collections.abc import Mapping


def wait_until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "this never came to pass"
        time.sleep(0.01)  # between two looks


def files(app: AppServer, storage: str = "public") -> set[str]:
    return {path.name for path in Path(app.server.data, "storages", storage).iterdir()}


def wait_until_gone(app: AppServer, before: set[str]) -> None:
    """Wait until no file is left but of *before*; what others have left may go meanwhile."""
    wait_until(lambda: not files(app) - before)


def is_in_bucket(app: AppServer) -> bool:
    return "s3://" in app.server.settings["FILELOFT_STORAGES"]


def test_an_object_is_seen_once_it_is_verified_which_it_is_once(app: AppServer) -> None:
    data = os.urandom(300_000)
    description = app.ticket("a/first", content_type="image/png", file_name="me.png")
    assert description["type"] == "binary"
    assert description["headers"] == {"Content-Type": "image/png"}
    assert description["file-name"] == "me.png"
    answer = app.upload(description, data)
    assert (answer.status, answer.body) == (204, b"")
    assert not app.exists("a/first")
    assert app.url("a/first") is None
    assert app.ask("GET", "/public/a/first").status == 404
    assert "a/first" not in app.paths()
    assert app.verify("a/first")
    assert not app.verify("a/first")
    assert app.exists("a/first")
    assert app.retrieve("a/first") == data
    url = app.url("a/first")
    assert url is not None
    shown = app.ask("GET", url)
    assert (shown.status, shown.body) == (200, data)
    assert shown.fields["content-type"] == "image/png"
    assert shown.fields["cache-control"] == "no-cache"
    part = app.ask("GET", url, Range="bytes=5-9", If_Range=shown.fields["etag"])
    assert (part.status, part.body) == (206, data[5:10])
    assert app.ask("GET", url, If_None_Match=shown.fields["etag"]).status == 304
    head = app.ask("HEAD", url)
    assert (head.fields["content-length"], head.body) == (str(len(data)), b"")


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_ticket_takes_put_and_post_of_known_and_of_unknown_length(
    app: AppServer, method: str, *, chunked: bool, size: int
) -> None:
    path = f"methods/{method}{chunked}{size}"
    data = os.urandom(size)
    description = app.ticket(path, method=method)
    body = iter([data[:7], data[7:]]) if chunked else data
    answer = app.ask(description["method"], description["url"], body, Content_Type="text/csv")
    assert answer.status == 204
    assert app.verify(path)
    assert app.retrieve(path) == data
    assert app.ask("HEAD", f"/public/{path}").fields["content-type"] == "text/csv"


def test_a_ticket_makes_one_object(app: AppServer) -> None:
    description = app.ticket("once")
    assert app.upload(description, b"one").status == 204
    again = app.upload(description, b"two")
    assert (again.status, again.body[:19]) == (403, b"ERR_TICKET_SPENT: t")
    assert app.verify("once")
    assert app.upload(description, b"two").status == 403
    assert app.retrieve("once") == b"one"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 204),
        ({"path": "forged/other"}, 403),
        ({"storage": "other"}, 403),
        ({"kind": "get"}, 403),
        ({"expires_at": 1}, 403),
    ],
    ids=str,
)
def test_a_ticket_is_for_its_storage_path_and_time_alone(
    app: AppServer, change: dict[str, Any], status: int
) -> None:
    ticket: dict[str, Any] = {
        "kind": "put",
        "storage": "public",
        "path": "forged/this",
        "expires_at": int(time.time()) + 60,
    } | change
    url = f"/public/forged/this?ticket={sign_ticket(KEY, Ticket(**ticket))}"
    assert app.ask("PUT", url, b"x").status == status


def test_without_a_ticket_or_with_a_forged_one_nothing_is_taken(app: AppServer) -> None:
    before = files(app)
    url = app.ticket("forged/that")["url"]
    token = sign_ticket(
        "z" * 40, Ticket(kind="put", storage="public", path="forged/that", expires_at=2**40)
    )
    for target in (
        "/public/forged/that",
        f"{url}x",
        url[:-1],
        f"/public/forged/that?ticket={token}",
        "/public/forged/that?ticket=",
        f"/public/forged/that?ticket={'a' * 5000}",
    ):
        answer = app.ask("PUT", target, b"x" * 100_000)
        assert (answer.status, answer.body[:11]) == (403, b"ERR_TICKET:")
    assert files(app) == before


def test_what_is_too_large_is_refused_and_leaves_nothing(app: AppServer) -> None:
    before = files(app)
    description = app.ticket("large", max_size=1000)
    assert app.upload(description, b"x" * 1001).status == 413
    chunks = iter([b"x" * 600, b"x" * 401])
    assert app.ask("PUT", description["url"], chunks).status == 413
    assert files(app) == before
    assert app.upload(description, b"x" * 1000).status == 204
    # The storage's own bound counts where a ticket's is larger.
    description = app.ticket("large", "private", max_size=2**30)
    assert app.upload(description, b"x" * (2**20 + 1)).status == 413


def test_an_upload_that_is_cut_leaves_nothing_and_may_come_again(app: AppServer) -> None:
    before = files(app)
    description = app.ticket("cut")
    path = description["url"].partition("/public/")[2]
    with socket.create_connection(app.server.address) as client:
        client.sendall(
            f"PUT /public/{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n".encode()
        )
        client.sendall(b"x" * 500)
        wait_until(lambda: files(app) != before)
    wait_until_gone(app, before)
    assert not app.verify("cut")
    assert app.upload(description, b"whole").status == 204
    assert app.verify("cut")
    assert app.retrieve("cut") == b"whole"


def test_what_is_there_is_replaced_only_where_the_ticket_says_so(app: AppServer) -> None:
    assert app.store("replaced", b"first").status == 200
    answer = app.upload(app.ticket("replaced", overwrite=False), b"second")
    assert (answer.status, answer.body[:18]) == (409, b"ERR_OBJECT_EXISTS:")
    description = app.ticket("replaced")
    answer = app.ask("PUT", description["url"], b"third", If_None_Match="*")
    assert answer.status == 412
    assert app.upload(description, b"fourth").status == 204
    assert app.retrieve("replaced") == b"first"
    assert app.verify("replaced")
    assert app.retrieve("replaced") == b"fourth"
    # Of two that found nothing there, the first that is verified stays.
    free = app.ticket("replaced2", overwrite=False)
    assert app.upload(free, b"a").status == 204
    assert app.upload(app.ticket("replaced2", overwrite=False), b"b").status == 409
    assert app.store("replaced2", b"c").status == 200
    told = app.call("POST", "/v1/verify", {"storage": "public", "path": "replaced2"})
    assert (told.status, told.json["error"]) == (409, "object_exists")
    assert app.retrieve("replaced2") == b"c"


def test_a_replaced_and_a_deleted_object_leave_the_disk(app: AppServer) -> None:
    before = files(app)
    for data in (b"one", b"two", b"three"):
        assert app.store("gone", data).status == 200
    wait_until(lambda: len(files(app) - before) == (0 if is_in_bucket(app) else 2))
    assert app.call("DELETE", "/v1/objects/public/gone").status == 204
    assert app.call("DELETE", "/v1/objects/public/gone").status == 404
    assert not app.exists("gone")
    wait_until_gone(app, before)


def test_what_is_not_verified_in_time_is_deleted(app: AppServer) -> None:
    ticket = app.ticket("late", expires_in=1)
    before = files(app)
    assert app.upload(ticket, b"x").status == 204
    database = Path(app.server.data, "storages.db")
    # The clock of the row is set instead of waited for: ten minutes are given to verify at least.
    with sqlite3.connect(database, timeout=10) as rows:
        changed = rows.execute("UPDATE pending SET expires_at = 1 WHERE path = 'late'")
        assert changed.rowcount == 1
    rows.close()
    assert not app.verify("late")
    wait_until_gone(app, before)


def test_private_objects_are_shown_to_who_has_a_signed_url(app: AppServer) -> None:
    assert app.store("my-file.v1_a/b", b"mine", "private").status == 200
    assert app.url("my-file.v1_a/b", "private") is None
    assert app.ask("GET", "/private/my-file.v1_a/b").status == 403
    assert app.ask("GET", "/private/no-such").status == 403
    url = app.url("my-file.v1_a/b", "private", signed=True)
    assert url is not None
    shown = app.ask("GET", url)
    assert (shown.status, shown.body) == (200, b"mine")
    assert shown.fields["cache-control"] == "private, no-store"
    assert app.ask("GET", url.replace("/b?", "/c?")).status == 403
    assert app.ask("PUT", url, b"x").status == 403
    assert app.url("no-such", "private", signed=True) is None


@pytest.mark.parametrize(
    "path", ["", "a//b", "a/", "a.b", "a b", "a%2e", "..", "%2e%2e/x", "ä", "x" * 1025]
)
def test_a_path_that_breaks_the_rules_is_refused_everywhere(app: AppServer, path: str) -> None:
    told = app.call("POST", "/v1/tickets", {"storage": "public", "path": path})
    assert (told.status, told.json["error"]) == (400, "invalid_path")
    if path.isascii() and path:
        target = path.replace(" ", "%20")
        assert app.call("PUT", f"/v1/objects/public/{target}", b"x").status == 400
        assert app.ask("GET", f"/public/{target}").status == 400


def test_a_listing_goes_by_path_page_by_page(app: AppServer) -> None:
    names = [f"list/{name}" for name in ("B", "a", "a/1", "a/2", "b", "c1", "c10")]
    for name in reversed(names):
        assert app.store(name, b"x", "other").status == 200
    assert app.paths("other") == names
    assert app.paths("other", prefix="list/a") == ["list/a", "list/a/1", "list/a/2"]
    first = app.call("GET", "/v1/objects/other?limit=3").json
    assert [each["path"] for each in first["objects"]] == names[:3]
    assert first["next"] == names[2]
    rest = app.call("GET", f"/v1/objects/other?after={first['next']}").json
    assert [each["path"] for each in rest["objects"]] == names[3:]
    assert rest["next"] is None


def test_the_api_wants_a_key_and_says_what_is_wrong(app: AppServer) -> None:
    for key in ("", "wrong", f"{KEY}x"):
        told = AppServer(app.server, key).call("POST", "/v1/verify", {})
        assert (told.status, told.json["error"]) == (401, "unauthorized")
        assert told.fields["www-authenticate"].startswith("Bearer")
    assert AppServer(app.server, f"another key that is good: {'x' * 32}").paths("other") is not None
    for said, status, error in (
        (b"{", 400, "invalid_request"),
        ({"storage": "public"}, 400, "invalid_request"),
        ({"storage": "public", "path": "a", "size": 1}, 400, "invalid_request"),
        ({"storage": "nowhere", "path": "a"}, 404, "no_such_storage"),
        ({"storage": "public", "path": "a", "expires_in": 0}, 400, "invalid_request"),
        ({"storage": "public", "path": "a", "content_type": "a\r\nb"}, 400, "invalid_request"),
        (b" " * 70_000, 413, "too_large"),
    ):
        told = app.call("POST", "/v1/tickets", said)
        assert (told.status, told.json["error"]) == (status, error), said
    assert app.call("GET", "/v1/tickets").status == 405
    assert app.call("POST", "/v1/nothing", {}).status == 404
    assert app.ask("GET", "/nowhere/a").status == 404


def test_tus_brings_an_object_by_the_same_ticket(app: AppServer) -> None:
    data = os.urandom(200_000)
    url = app.ticket("tus/resumed")["url"]
    made = app.ask("POST", url, b"", Tus_Resumable="1.0.0", Upload_Length=str(len(data)))
    assert made.status == 201
    upload = made.fields["location"]
    fields: dict[str, Any] = {
        "Tus_Resumable": "1.0.0",
        "Content_Type": "application/offset+octet-stream",
    }
    assert app.ask("PATCH", upload, data[:70_000], Upload_Offset="0", **fields).status == 204
    assert app.ask("HEAD", upload, Tus_Resumable="1.0.0").fields["upload-offset"] == "70000"
    assert not app.verify("tus/resumed")
    last = app.ask("PATCH", upload, data[70_000:], Upload_Offset="70000", **fields)
    assert (last.status, last.fields["upload-offset"]) == (204, "200000")
    assert app.upload({"method": "PUT", "url": url}, b"x").status == 403
    assert app.verify("tus/resumed")
    assert app.retrieve("tus/resumed") == data
    # The upload is an object by now, and tus takes nothing away. In a folder it shows the length.
    if is_in_bucket(app):
        wait_until(lambda: app.ask("HEAD", upload, Tus_Resumable="1.0.0").status == 404)
    else:
        assert app.ask("HEAD", upload, Tus_Resumable="1.0.0").fields["upload-offset"] == "200000"
    assert app.ask("DELETE", upload, Tus_Resumable="1.0.0").status in {403, 404}
    assert app.retrieve("tus/resumed") == data


def test_a_ticket_has_few_unfinished_uploads_by_tus(app: AppServer) -> None:
    url = app.ticket("tus/many", max_size=100)["url"]
    tus: dict[str, Any] = {"Tus_Resumable": "1.0.0"}
    made = [app.ask("POST", url, b"", Upload_Length="9", **tus) for _ in range(5)]
    assert [each.status for each in made] == [201, 201, 201, 201, 429]
    assert app.ask("POST", url, b"", Upload_Length="101", **tus).status == 413
    assert app.ask("DELETE", made[0].fields["location"], **tus).status == 204
    assert app.ask("POST", url, b"", Upload_Length="9", **tus).status == 201
    assert app.upload(app.ticket("tus/other", "other"), b"x").status == 204
    for upload in ("0" * 32, next(iter(files(app, "other"))).removesuffix(".info")):
        assert app.ask("HEAD", f"/v1/uploads/public/{upload}", **tus).status == 404
    assert app.ask("POST", "/v1/uploads/public/", b"", Upload_Length="9", **tus).status == 403


def test_a_page_of_another_origin_may_use_a_ticket(app: AppServer) -> None:
    url = app.ticket("cors")["url"]
    preflight = app.ask(
        "OPTIONS", url, Origin="https://app.example", Access_Control_Request_Method="PUT"
    )
    assert preflight.status == 204
    assert "PUT" in preflight.fields["access-control-allow-methods"]
    answer = app.ask("PUT", url, b"x", Origin="https://app.example")
    assert answer.fields["access-control-allow-origin"] == "*"


def test_what_waits_and_what_is_permanent_survive_a_kill(
    tmp_path: Path, storage_settings: Mapping[str, str]
) -> None:
    server = Server(tmp_path, storage_settings)
    app = AppServer(server)
    assert app.upload(app.ticket("waits"), b"waiting").status == 204
    assert app.store("stays", b"staying").status == 200
    url = app.ticket("tus")["url"]
    made = app.ask("POST", url, b"", Tus_Resumable="1.0.0", Upload_Length="4")
    server.kill()
    with Server(tmp_path, storage_settings) as server:
        app = AppServer(server)
        assert app.retrieve("stays") == b"staying"
        assert app.verify("waits")
        assert app.retrieve("waits") == b"waiting"
        upload = made.fields["location"]
        fields = {"Tus_Resumable": "1.0.0", "Content_Type": "application/offset+octet-stream"}
        assert app.ask("PATCH", upload, b"data", Upload_Offset="0", **fields).status == 204
        assert app.verify("tus")


def test_several_workers_have_the_same_storages(
    tmp_path: Path, storage_settings: Mapping[str, str]
) -> None:
    with Server(tmp_path, {**storage_settings, "FILELOFT_WORKERS": "2"}) as server:
        app = AppServer(server)
        for number in range(20):  # connections go to either
            path = f"shared/{number}"
            assert app.upload(app.ticket(path), b"%d" % number).status == 204
            assert app.verify(path)
            assert app.retrieve(path) == b"%d" % number
        assert len(app.paths(prefix="shared/")) == 20


def test_a_toml_file_declares_storages_and_its_mistakes_end_the_start(tmp_path: Path) -> None:
    file = tmp_path / "storages.toml"
    file.write_text(
        f'[storages.media]\nfolder = "{tmp_path}/media"\npublic = true\n'
        'public_host = "cdn.example"\n'
    )
    settings = {"FILELOFT_STORAGES_FILE": str(file), "FILELOFT_STORAGE_KEYS": KEY}
    with Server(tmp_path / "data", settings) as server:
        app = AppServer(server)
        assert app.store("a", b"x", "media").status == 200
        assert app.url("a", "media") == "https://cdn.example/media/a"
        assert len(list((tmp_path / "media").glob("*.info"))) == 1
    for text in ("[storages.media]\nfolders = 1", "[storages.ui]", "not toml", "[storages.v]"):
        file.write_text(text)
        with pytest.raises(AssertionError, match="FILELOFT_STORAGES_FILE"):
            Server(tmp_path / "data", settings)


def test_json_of_a_description_is_what_a_file_uploader_reads(app: AppServer) -> None:
    description = app.ticket("form/a", type="multipart", file_name="a.png")
    assert sorted(description) == ["field", "file-name", "request-fields", "type", "url"]
    assert description["request-fields"] == {}
    assert json.loads(json.dumps(description)) == description
