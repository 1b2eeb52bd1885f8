"""Quotas of a subject: bytes, unfinished uploads, and how fast new ones are begun."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests import tokens
from tests.endpoint import Endpoint
from tests.tokens import bearer, shared
from tests.wire import OCTETS, render_chunks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet

AUTH = {"AUTH": "jwt", "JWT_SECRET": tokens.JWT_SECRET}
CHUNKED = {"Content-Type": OCTETS, "Transfer-Encoding": "chunked"}


def subject(name: str, **limits: object) -> dict[str, str]:
    return bearer(shared(name, fileloft=limits) if limits else shared(name))


def stored_bytes(data: Path) -> dict[str, int]:
    """Return what the accounts say that each subject has."""
    if not (data / "access.db").exists():
        return {}
    with closing(sqlite3.connect(data / "access.db")) as accounts:
        try:
            return dict(accounts.execute("SELECT subject, bytes FROM subjects"))
        except sqlite3.OperationalError:  # being made
            return {}


@pytest.fixture(scope="module")
def bounded(fleet: Fleet) -> Iterator[Endpoint]:
    with fleet.start(**AUTH, QUOTA_BYTES="100", ENABLE_CONCATENATION="1") as server:
        yield Endpoint(server)


def test_promised_bytes_count(bounded: Endpoint) -> None:
    ann = subject("ann")
    upload = bounded.create(60, ann)
    answer = bounded.post({"Upload-Length": "41", **ann})
    assert (answer.status, answer["Retry-After"]) == (429, "60")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert bounded.post({"Upload-Length": "40", **ann}).status == 201
    assert bounded.post({"Upload-Length": "41", **subject("otto")}).status == 201
    assert bounded.ask("DELETE", upload, ann).status == 204
    assert bounded.post({"Upload-Length": "60", **ann}).status == 201


def test_what_will_never_fit_is_too_large(bounded: Endpoint) -> None:
    assert bounded.post({"Upload-Length": "101", **subject("max")}).status == 413


def test_bytes_of_a_deferred_upload_count_as_they_come(bounded: Endpoint) -> None:
    ben = subject("ben")
    upload = bounded.create(None, ben)
    assert bounded.append(upload, 0, b"x" * 50, ben).status == 204
    assert bounded.post({"Upload-Length": "51", **ben}).status == 429
    assert bounded.append(upload, 50, b"x" * 51, ben).status == 429
    chunks = render_chunks([b"x" * 30])
    fields = {"Upload-Offset": "50", **CHUNKED, **ben}
    assert bounded.ask("PATCH", upload, fields, chunks).status == 204
    assert bounded.post({"Upload-Length": "20", **ben}).status == 201, "chunks hold nothing back"
    fields["Upload-Offset"] = "80"
    assert bounded.ask("PATCH", upload, fields, chunks).status == 413
    assert bounded.append(upload, 80, b"", {**ben, "Upload-Length": "81"}).status == 429
    assert bounded.append(upload, 80, b"", {**ben, "Upload-Length": "80"}).status == 204


def test_bytes_of_a_failed_chunked_request_are_given_back(bounded: Endpoint) -> None:
    """Also of one that creates, and of one that is cut."""
    kim = subject("kim")
    fields = {"Upload-Defer-Length": "1", **CHUNKED, **kim}
    assert bounded.post(fields, render_chunks([b"x" * 101])).status == 413
    assert bounded.post({"Upload-Length": "100", **kim}).status == 201


def test_a_final_upload_counts(bounded: Endpoint) -> None:
    eva = subject("eva")
    part = bounded.finish(b"x" * 40, {**eva, "Upload-Concat": "partial"})
    twice = {"Upload-Concat": f"final;{part} {part}", **eva}
    assert bounded.post(twice).status == 429
    assert bounded.post({"Upload-Concat": f"final;{part}", **eva}).status == 201
    assert bounded.post({"Upload-Length": "21", **eva}).status == 429


def test_a_token_may_say_otherwise(bounded: Endpoint) -> None:
    assert bounded.post({"Upload-Length": "150", **subject("vip", quota_bytes=200)}).status == 201
    assert bounded.post({"Upload-Length": "51", **subject("vip", quota_bytes=200)}).status == 429
    assert bounded.post({"Upload-Length": "999", **subject("vip", quota_bytes=0)}).status == 201


def test_unfinished_uploads_are_counted(fleet: Fleet) -> None:
    with fleet.start(**AUTH, QUOTA_UPLOADS="2") as server:
        bounded = Endpoint(server)
        ida = subject("ida")
        first, _ = bounded.create(3, ida), bounded.create(None, ida)
        assert bounded.post({"Upload-Length": "3", **ida}).status == 429
        assert bounded.append(first, 0, b"abc", ida).status == 204
        assert bounded.finish(b"abc", ida), "one that is whole at once is never unfinished"
        assert bounded.create(3, ida)
        assert bounded.post({"Upload-Length": "3", **ida}).status == 429


def test_accounts_outlive_a_crash_and_follow_the_disk(fleet: Fleet) -> None:
    server = fleet.start(**AUTH, QUOTA_BYTES="100")
    try:
        bounded = Endpoint(server)
        lea = subject("lea")
        upload = bounded.create(90, lea)
        assert bounded.post({"Upload-Length": "11", **lea}).status == 429
    finally:
        server.kill()
    with fleet.restart(server) as again:
        assert Endpoint(again).post({"Upload-Length": "11", **lea}).status == 429
    for path in again.data.glob("access.db*"):
        path.unlink()
    with fleet.restart(again) as anew:
        bounded = Endpoint(anew)
        deadline = time.monotonic() + 10  # the audit runs beside the requests
        while stored_bytes(anew.data) != {"lea": 90}:
            assert time.monotonic() < deadline
        assert bounded.post({"Upload-Length": "11", **lea}).status == 429
        assert bounded.head(upload, lea).status == 200


def test_what_expires_is_given_back(fleet: Fleet) -> None:
    settings = {"ENABLE_EXPIRATION": "1", "EXPIRATION_TTL": "1", "SWEEP_INTERVAL": "0.2"}
    with fleet.start(**AUTH, QUOTA_BYTES="100", **settings) as server:
        bounded = Endpoint(server)
        bounded.create(100, subject("tim"))
        deadline = time.monotonic() + 10
        while bounded.post({"Upload-Length": "100", **subject("tim")}).status != 201:
            assert time.monotonic() < deadline


def test_new_uploads_are_begun_no_faster_than_the_rate(fleet: Fleet) -> None:
    with fleet.start(**AUTH, QUOTA_RATE="0.01") as server:
        bounded = Endpoint(server)
        pia = subject("pia")
        upload = bounded.create(3, pia)
        answer = bounded.post({"Upload-Length": "3", **pia})
        assert answer.status == 429
        assert 90 <= int(answer["Retry-After"]) <= 100
        assert bounded.append(upload, 0, b"abc", pia).status == 204, "what is begun goes on"
        assert bounded.create(3, subject("uwe"))
        assert not (server.data / "access.db").exists()
