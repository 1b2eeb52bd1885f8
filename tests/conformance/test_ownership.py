"""Whose an upload is: kept on the disk, and seen by nobody else, whatever happens to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests import tokens
from tests.endpoint import Endpoint
from tests.tokens import bearer, shared
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from tests.conftest import Fleet

SETTINGS = {
    "AUTH": "jwt",
    "JWT_SECRET": tokens.JWT_SECRET,
    "ENABLE_CONCATENATION": "1",
    "ENABLE_DOWNLOAD": "1",
    "ENABLE_CLEANUP_CONCAT_PARTIALS": "1",
}
ALICE, BOB = bearer(shared("alice")), bearer(shared("bob"))
ADMIN = bearer(shared("root", fileloft={"ops": ["inspect", "append", "read", "delete", "admin"]}))


@pytest.fixture(scope="module")
def guarded(fleet: Fleet) -> Iterator[Endpoint]:
    with fleet.start(**SETTINGS) as server:
        yield Endpoint(server)


def test_an_upload_is_still_its_makers_after_a_restart(fleet: Fleet) -> None:
    with fleet.start(**SETTINGS) as server:
        upload = Endpoint(server).create(10, ALICE, b"hello")
        assert Endpoint(server).info(upload)["fast"]["subject"] == "alice"
    with fleet.restart(server) as again:
        guarded = Endpoint(again)
        assert guarded.head(upload, BOB).status == 404
        assert guarded.append(upload, 5, b"w", BOB).status == 404
        assert guarded.append(upload, 5, b"world", ALICE).status == 204
        assert not (again.data / "access.db").exists(), "nothing is counted, so nothing is kept"


def test_a_length_that_comes_later_changes_no_owner(guarded: Endpoint) -> None:
    upload = guarded.create(None, ALICE)
    assert guarded.append(upload, 0, b"abc", {**ALICE, "Upload-Length": "3"}).status == 204
    assert guarded.info(upload)["fast"]["subject"] == "alice"
    assert guarded.head(upload, BOB).status == 404


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "GET"])
def test_a_stranger_does_not_disturb_a_transfer(guarded: Endpoint, method: str) -> None:
    """A request of her own takes the upload over; one of his does not even reach it."""
    upload = guarded.create(10, ALICE)
    fields = {**ALICE, "Upload-Offset": "0", "Content-Type": OCTETS, "Content-Length": "10"}
    with guarded.connect() as wire:
        wire.send(render_request("PATCH", upload, fields, b"hello"))
        while guarded.head(upload, ALICE)["Upload-Offset"] != "5":
            pass
        patch = {"Upload-Offset": "5", "Content-Type": OCTETS} if method == "PATCH" else {}
        body = b"evils" if method == "PATCH" else b""
        assert guarded.ask(method, upload, {**BOB, **patch}, body).status == 404
        wire.send(b"world")
        assert wire.read().status == 204
    assert guarded.stored(upload) == b"helloworld"


def test_a_final_upload_is_made_of_ones_own(guarded: Endpoint) -> None:
    partial = {"Upload-Concat": "partial"}
    hers = guarded.finish(b"abc", {**ALICE, **partial})
    his = guarded.finish(b"def", {**BOB, **partial})
    assert guarded.post({"Upload-Concat": f"final;{hers} {his}", **BOB}).status == 400
    answer = guarded.post({"Upload-Concat": f"final;{his}", **BOB})
    final = guarded.path_of(answer)
    assert guarded.ask("GET", final, BOB).body == b"def"
    assert guarded.ask("GET", final, ALICE).status == 404
    assert guarded.head(hers, ALICE).status == 200, "cleaning up took only what was his"


def test_an_administrator_sees_every_upload(guarded: Endpoint) -> None:
    upload = guarded.create(10, ALICE, b"hello")
    assert guarded.head(upload, ADMIN)["Upload-Offset"] == "5"
    assert guarded.append(upload, 5, b"world", ADMIN).status == 204
    assert guarded.info(upload)["fast"]["subject"] == "alice"
    assert guarded.ask("DELETE", upload, ADMIN).status == 204
    assert guarded.head(upload, ALICE).status == 404
    assert guarded.post({"Upload-Length": "1", **ADMIN}).status == 403


def test_an_upload_of_nobody_is_the_administrators(fleet: Fleet) -> None:
    """It was made while nobody was asked."""
    with fleet.start() as server:
        upload = Endpoint(server).create(10, None, b"hello")
    server.settings.update({f"FILELOFT_{name}": value for name, value in SETTINGS.items()})
    with fleet.restart(server) as again:
        guarded = Endpoint(again)
        assert guarded.head(upload, ALICE).status == 404
        assert guarded.head(upload, ADMIN)["Upload-Offset"] == "5"
        nobody = bearer(shared(""))
        assert guarded.head(upload, nobody).status == 401


def test_a_stranger_is_not_told_that_an_upload_has_expired(fleet: Fleet) -> None:
    settings = {**SETTINGS, "ENABLE_EXPIRATION": "1", "EXPIRATION_TTL": "1"}
    with fleet.start(**settings, SWEEP_INTERVAL="3600") as server:
        guarded = Endpoint(server)
        upload = guarded.create(10, ALICE)
        while guarded.head(upload, ALICE).status != 410:
            pass
        for method in ("HEAD", "GET", "DELETE"):
            assert guarded.ask(method, upload, BOB).status == 404


def test_a_name_may_be_taken_again_by_another(guarded: Endpoint) -> None:
    """What is remembered of an id that is gone counts for nothing."""
    upload = guarded.create(10, ALICE, b"hello")
    assert guarded.head(upload, ALICE).status == 200
    info = guarded.info_file(upload)
    info.write_bytes(info.read_bytes().replace(b'"subject":"alice"', b'"subject":"clara"'))
    assert guarded.head(upload, ALICE).status == 404
    assert guarded.ask("DELETE", upload, ALICE).status == 404
    assert guarded.append(upload, 5, b"world", ALICE).status == 404
    assert guarded.stored(upload) == b"hello"


def test_what_a_subject_may_be_called(guarded: Endpoint) -> None:
    for subject in ("a", "x" * 255, "Zoë \u2028 \U0001f600", 'q"\\/', "\x00", "null", "%b%d"):
        upload = guarded.create(3, bearer(shared(subject)), b"ab")
        assert guarded.info(upload)["fast"]["subject"] == subject
        assert guarded.append(upload, 2, b"c", bearer(shared(subject))).status == 204


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "half\ud800"},
        {"jti": "half\ud800", "fileloft": {"uploads": 1}},
        {"fileloft": {"metadata": {"half\ud800": "x"}}},
        {"fileloft": {"metadata": {"x": "half\ud800"}}},
    ],
    ids=["sub", "jti", "key", "value"],
)
def test_a_name_that_nothing_can_be_written_under_is_none(
    fleet: Fleet, claims: dict[str, Any]
) -> None:
    """It must not fail in the accounts, where others' creations would fail with it."""
    with fleet.start(**SETTINGS, QUOTA_UPLOADS="5") as server:
        guarded = Endpoint(server)
        wrong = bearer(shared("alice", **claims))
        assert guarded.post({"Upload-Length": "1", **wrong}).status == 401
        assert guarded.post({"Upload-Length": "1", **ALICE}).status == 201
