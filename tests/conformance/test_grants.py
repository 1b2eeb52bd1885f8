"""Upload grants: what each limit means, and that it holds however a client goes about it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests import tokens
from tests.endpoint import Endpoint, metadata
from tests.tokens import bearer, grant
from tests.wire import OCTETS, render_chunks

if TYPE_CHECKING:
    from tests.conftest import Fleet
    from tests.wire import Answer

SETTINGS = {
    "AUTH": "grant",
    "GRANT_SECRET": tokens.GRANT_SECRET,
    "ENABLE_DOWNLOAD": "1",
    "ENABLE_CONCATENATION": "1",
    "LOG": "trace",
}
NEW = {"Upload-Length": "10"}
CHUNKED = {"Content-Type": OCTETS, "Transfer-Encoding": "chunked"}


@pytest.fixture(scope="module")
def guarded(fleet: Fleet) -> Iterator[Endpoint]:
    with fleet.start(**SETTINGS) as server:
        yield Endpoint(server)
    assert "eyJ" not in "\n".join(server.log)


def append(
    endpoint: Endpoint, upload: str, offset: int, fields: dict[str, str], body: bytes
) -> Answer:
    headers = {"Upload-Offset": str(offset), "Content-Type": OCTETS, **fields}
    return endpoint.ask("PATCH", upload, headers, body)


def test_a_grant_brings_one_file(guarded: Endpoint) -> None:
    fields = bearer(grant())
    upload = guarded.create(10, fields, b"hello")
    assert guarded.append(upload, 5, b"world", fields).status == 204
    assert guarded.head(upload, fields)["Upload-Offset"] == "10"
    assert guarded.post({**NEW, **fields}).status == 403
    assert guarded.ask("GET", upload, fields).status == 403


def test_what_no_token_is_asked_for(guarded: Endpoint) -> None:
    """A browser asks before it sends its token, and must be able to read what it is refused."""
    for target in ("/files/", "/files/" + "0" * 32, "*"):
        answer = guarded.ask("OPTIONS", target, {"Origin": "https://page.example"})
        assert answer.status == 204
        assert "Authorization" in answer["Access-Control-Allow-Headers"]
    refused = guarded.post({**NEW, "Origin": "https://page.example"})
    assert (refused.status, refused["Access-Control-Allow-Origin"]) == (401, "*")
    forbidden = guarded.post({**NEW, **bearer(grant(operations=["read"]))})
    assert (forbidden.status, forbidden["Access-Control-Allow-Origin"]) == (403, "*")


def test_nobody_is_asked_for_a_body_without_a_token(guarded: Endpoint) -> None:
    headers = {**NEW, "Content-Type": OCTETS, "Content-Length": "10", "Expect": "100-continue"}
    answer = guarded.post(headers)
    assert (answer.status, answer.interim) == (401, ())
    upload = guarded.create(10, bearer(grant()))
    for fields in ({}, bearer(grant()), bearer(grant(operations=["create"]))):
        patch = {"Upload-Offset": "0", **headers, **fields}
        answer = guarded.ask("PATCH", upload, patch)
        assert answer.status in {401, 403, 404}
        assert answer.interim == ()


def test_the_scheme_is_read_in_any_case(guarded: Endpoint) -> None:
    """RFC 9110 section 11.1."""
    token = grant(uploads=None)
    for scheme in ("bearer", "BEARER", "Bearer ", "bEaReR"):
        assert guarded.post({**NEW, "Authorization": f"{scheme} {token}"}).status == 201


def test_a_size_holds_for_what_is_declared_later(guarded: Endpoint) -> None:
    fields = bearer(grant(max_size=10))
    upload = guarded.create(None, fields)
    too_long = {**fields, "Upload-Length": "11"}
    assert guarded.append(upload, 0, b"", too_long).status == 413
    assert guarded.append(upload, 0, b"x" * 11, fields).status == 413
    assert append(guarded, upload, 0, {**fields, **CHUNKED}, render_chunks([b"x" * 11])).status == (
        413
    )
    assert int(guarded.head(upload, fields)["Upload-Offset"]) <= 10
    offset = int(guarded.head(upload, fields)["Upload-Offset"])
    rest = b"x" * (10 - offset)
    assert guarded.append(upload, offset, rest, {**fields, "Upload-Length": "10"}).status == 204
    assert guarded.stored(upload) == b"x" * 10


def test_a_size_holds_for_uploads_of_another_token(guarded: Endpoint) -> None:
    upload = guarded.create(20, bearer(grant(subject="carol")))
    small = bearer(grant(subject="carol", max_size=10))
    assert guarded.append(upload, 0, b"x", small).status == 413
    assert guarded.head(upload, small)["Upload-Offset"] == "0"


def test_metadata_must_be_what_the_grant_says(guarded: Endpoint) -> None:
    fields = bearer(grant(metadata={"project": "p1", "empty": ""}))
    sent = metadata(project="p1", filename="f")
    assert guarded.post({**NEW, **fields, "Upload-Metadata": sent}).status == 403
    answer = guarded.post({**NEW, **fields, "Upload-Metadata": f"{sent},empty"})
    assert answer.status == 201


def test_ids_begin_with_the_prefix(guarded: Endpoint) -> None:
    fields = bearer(grant(prefix="team-a", subject="dora", uploads=None))
    upload = guarded.create(4, fields, b"ab")
    assert upload.startswith("/files/team-a-")
    assert guarded.append(upload, 2, b"cd", fields).status == 204
    other = bearer(grant(prefix="team", subject="dora"))
    assert guarded.head(upload, other).status == 200, "team-a is within team"
    for prefix in ("team-b", "team-a-x", "tea"):
        stranger = bearer(grant(prefix=prefix, subject="dora"))
        assert guarded.head(upload, stranger).status == 404
    final = {"Upload-Concat": f"final;{guarded.create(1, {**fields, 'Upload-Concat': 'partial'})}"}
    assert guarded.post({**final, **fields}).status == 400  # its part is not finished


def test_a_grant_for_one_upload(guarded: Endpoint) -> None:
    """A backend lets somebody go on with what somebody else began."""
    upload = guarded.create(10, bearer(grant(subject="erik")))
    other = guarded.create(10, bearer(grant(subject="erik")))
    fields = bearer(grant(operations=["append", "inspect"], upload=upload.rpartition("/")[2]))
    assert guarded.append(upload, 0, b"hello", fields).status == 204
    assert guarded.head(other, fields).status == 404
    assert guarded.ask("DELETE", upload, fields).status == 403
    assert guarded.post({**NEW, **fields}).status == 403
    named = grant(operations=["inspect"], upload=upload.rpartition("/")[2], subject="frida")
    assert guarded.head(upload, bearer(named)).status == 404


def test_a_replayed_grant_makes_no_more(fleet: Fleet) -> None:
    """Not after its uploads are gone, not after a restart, not on many connections at once."""
    operations = ["create", "append", "inspect", "delete"]
    fields = bearer(grant(operations=operations, uploads=3))
    with fleet.start(**SETTINGS) as server:
        guarded = Endpoint(server)
        first = guarded.create(10, fields)
        assert guarded.ask("DELETE", first, fields).status == 204
    again = fleet.restart(server)
    try:
        guarded = Endpoint(again)
        statuses: list[int] = []

        def replay() -> None:
            statuses.append(guarded.post({**NEW, **fields}).status)

        threads = [threading.Thread(target=replay) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [201] * 2 + [403] * 18
        assert len(guarded.uploads()) == 2
    finally:
        again.kill()
    with fleet.restart(again) as last:
        assert Endpoint(last).post({**NEW, **fields}).status == 403


def test_a_grant_is_counted_by_all_workers_together(fleet: Fleet) -> None:
    fields = bearer(grant(uploads=5))
    with fleet.start(**SETTINGS, WORKERS="3") as server:
        guarded = Endpoint(server)
        statuses = [guarded.post({**NEW, **fields}).status for _ in range(15)]
        assert statuses == [201] * 5 + [403] * 10
        assert len(guarded.uploads()) == 5


def test_a_creation_that_comes_to_nothing_is_not_counted(guarded: Endpoint) -> None:
    fields = bearer(grant(uploads=1))
    before = guarded.files()
    wrong = {**NEW, **fields, "Content-Type": OCTETS, "Upload-Checksum": "sha1 " + "A" * 27 + "="}
    assert guarded.post(wrong, b"hello").status == 460
    assert guarded.files() - {"access.db-wal", "access.db-shm", "access.db"} == before - {
        "access.db-wal", "access.db-shm", "access.db"
    }  # fmt: skip
    assert guarded.post({**NEW, **fields}).status == 201
    assert guarded.post({**NEW, **fields}).status == 403


def test_a_client_without_headers_goes_on_by_its_location(guarded: Endpoint) -> None:
    token = grant(uploads=3, operations=["create", "append", "inspect", "read"])
    target = f"/files/?token={token}"
    partial = {"Upload-Concat": "partial", "Upload-Length": "3", "Content-Type": OCTETS}
    urls = [guarded.ask("POST", target, partial, part)["Location"] for part in (b"abc", b"def")]
    assert all(url.endswith(f"?token={token}") for url in urls)
    final = guarded.ask("POST", target, {"Upload-Concat": f"final;{' '.join(urls)}"})
    assert final.status == 201
    url = urlsplit(final["Location"])
    shown = guarded.ask("GET", f"{url.path}?{url.query}")
    assert shown.body == b"abcdef"
    assert shown["Referrer-Policy"] == "no-referrer", "a link in it must not carry the token away"
    asked = guarded.ask("OPTIONS", f"{url.path}?{url.query}&{url.query}")
    assert (asked.status, "Referrer-Policy" in asked) == (204, False)
    told = guarded.head(f"{url.path}?{url.query}")
    assert "token" not in told["Upload-Concat"]
    assert b"token" not in guarded.info_file(url.path).read_bytes()


def test_a_location_has_no_token_where_a_field_had_it(guarded: Endpoint) -> None:
    answer = guarded.ask("POST", "/files/?x=1", {**NEW, **bearer(grant())})
    assert "?" not in answer["Location"]


def test_a_query_may_have_more_than_the_token(guarded: Endpoint) -> None:
    answer = guarded.ask("POST", f"/files/?a=b&token={grant()}&c", NEW)
    assert answer.status == 201
