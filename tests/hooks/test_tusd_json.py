"""A hook server that was written for tusd asks for nothing more than it had."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from tests.endpoint import Endpoint, metadata
from tests.wire import OCTETS, render_request

if TYPE_CHECKING:
    from tests.hooks.listener import HookServer


def test_every_event_of_an_upload_is_told_once_and_in_order(
    hooked: Endpoint, hooks: HookServer
) -> None:
    upload = hooked.create(6)
    assert hooked.append(upload, 0, b"abc").status == 204
    assert hooked.append(upload, 3, b"def").status == 204
    hooks.wait_for("stored", of=upload)
    assert hooked.ask("DELETE", upload).status == 204
    hooks.wait_for("post-terminate", of=upload)
    without_access = [kind for kind in hooks.types(upload) if kind != "pre-access"]
    assert sorted(without_access) == [
        "post-create",
        "post-finish",
        "post-terminate",
        "pre-finish",
        "pre-terminate",
        "stored",
    ]
    told = [kind for kind in without_access if kind.startswith("post-") or kind == "stored"]
    assert told == ["post-create", "post-finish", "stored", "post-terminate"]
    assert without_access.index("pre-finish") < without_access.index("post-finish")


def test_a_request_is_tusds_json(hooked: Endpoint, hooks: HookServer) -> None:
    fields = {"Upload-Metadata": metadata(filename="ü.txt"), "X-Trace": "7", "Cookie": "a=b"}
    upload = hooked.finish(b"hello", fields)
    ident = upload.rsplit("/", 1)[1]
    (before,) = hooks.wait_for("pre-create")
    assert before.json["Type"] == "pre-create"
    assert set(before.json) == {"Type", "Event"}
    assert set(before.json["Event"]) == {"Upload", "HTTPRequest"}
    assert before.upload == {
        "ID": "",
        "Size": 5,
        "SizeIsDeferred": False,
        "Offset": 0,
        "MetaData": {"filename": "ü.txt"},
        "IsPartial": False,
        "IsFinal": False,
        "PartialUploads": None,
        "Storage": None,
    }
    (after,) = hooks.wait_for("post-finish", of=upload)
    assert after.upload["ID"] == ident
    assert after.upload["Offset"] == 5
    assert after.upload["Storage"] == {
        "Type": "filestore",
        "Path": str(hooked.data_file(upload)),
        "InfoPath": str(hooked.info_file(upload)),
    }
    request = after.json["Event"]["HTTPRequest"]
    assert request["Method"] == "POST"
    assert request["URI"] == "/files/"
    assert request["RemoteAddr"].startswith("127.0.0.1:")
    assert request["Header"]["Upload-Length"] == ["5"]
    assert request["Header"]["Tus-Resumable"] == ["1.0.0"]
    assert request["Header"]["Cookie"] == ["a=b"]
    assert after.headers["content-type"] == "application/json"
    assert after.headers["hook-name"] == "post-finish"
    assert after.headers["x-trace"] == "7"
    assert "cookie" not in after.headers


def test_a_deferred_length_and_a_final_upload_are_told_as_tusd_does(
    hooked: Endpoint, hooks: HookServer
) -> None:
    deferred = hooked.create(None)
    assert hooks.wait_for("post-create", of=deferred)[0].upload["SizeIsDeferred"] is True
    parts = [hooked.finish(b"x", {"Upload-Concat": "partial"}) for _ in range(2)]
    answer = hooked.post({"Upload-Concat": f"final;{parts[0]} {parts[1]}"})
    assert answer.status == 201
    (told,) = hooks.wait_for("post-finish", of=hooked.path_of(answer))
    assert told.upload["IsFinal"] is True
    assert told.upload["PartialUploads"] == [part.rsplit("/", 1)[1] for part in parts]
    assert told.upload["Size"] == told.upload["Offset"] == 2


def test_an_empty_upload_is_finished_when_it_is_created(
    hooked: Endpoint, hooks: HookServer
) -> None:
    upload = hooked.create(0)
    hooks.wait_for("post-finish", of=upload)
    hooks.wait_for("post-create", of=upload)


def test_secrets_of_the_query_are_not_told(hooked: Endpoint, hooks: HookServer) -> None:
    target = f"{hooked.base}?grant=eyJhbGciOi.eyJzdWIi.c2ln&project=7&access_token=x"
    answer = hooked.ask("POST", target, {"Upload-Length": "5"})
    assert answer.status == 201
    (told,) = hooks.wait_for("post-create", of=hooked.path_of(answer))
    uri = told.json["Event"]["HTTPRequest"]["URI"]
    assert uri == "/files/?grant=REDACTED&project=7&access_token=REDACTED"
    assert b"eyJ" not in told.body


def test_the_signature_tells_that_we_sent_it(hooked: Endpoint, hooks: HookServer) -> None:
    (told,) = hooks.wait_for("post-create", of=hooked.create(1))
    at, _, signature = told.headers["hook-signature"].partition(",v1=")
    signed = at.removeprefix("t=").encode() + b"." + told.body
    expected = hmac.new(b"between us", signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signature, expected)


def test_a_rejected_upload_is_not_made(hooked: Endpoint, hooks: HookServer) -> None:
    before = hooked.files()
    hooks.answers["pre-create"] = {"RejectUpload": True}
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 400
    assert answer.body.startswith(b"ERR_UPLOAD_REJECTED: upload creation has been rejected")
    hooks.answers["pre-create"] = {
        "RejectUpload": True,
        "HTTPResponse": {
            "StatusCode": 422,
            "Body": '{"why":"no"}',
            "Header": {"Content-Type": "application/json", "X-Some-Header": "yes"},
        },
    }
    answer = hooked.post({"Upload-Length": "5"})
    assert (answer.status, answer.body) == (422, b'{"why":"no"}')
    assert answer["Content-Type"] == "application/json"
    assert answer["X-Some-Header"] == "yes"
    assert "Location" not in answer
    assert hooked.files() == before


def test_a_hook_may_add_to_the_answer_of_a_creation_and_of_the_end(
    hooked: Endpoint, hooks: HookServer
) -> None:
    hooks.answers["pre-create"] = {"HTTPResponse": {"Header": {"X-Made": "yes"}}}
    hooks.answers["pre-finish"] = {
        "HTTPResponse": {"StatusCode": 200, "Body": "done", "Header": {"Link": "<https://a/1>"}}
    }
    answer = hooked.post({"Upload-Length": "5"})
    assert answer.status == 201
    assert answer["X-Made"] == "yes"
    last = hooked.append(hooked.path_of(answer), 0, b"hello")
    assert (last.status, last.body, last["Link"]) == (200, b"done", "<https://a/1>")
    assert last["Upload-Offset"] == "5"


def test_a_hook_may_choose_id_and_metadata(hooked: Endpoint, hooks: HookServer) -> None:
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"ID": "chosen-1", "MetaData": {"a": "é"}}}
    upload = hooked.create(3, {"Upload-Metadata": metadata(filename="x")})
    assert upload == "/files/chosen-1"
    assert hooked.head(upload)["Upload-Metadata"] == metadata(a="é")
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"MetaData": {}}}
    cleared = hooked.create(3, {"Upload-Metadata": metadata(filename="x")})
    assert "Upload-Metadata" not in hooked.head(cleared)
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"ID": "", "MetaData": None, "Storage": None}}
    kept = hooked.create(3, {"Upload-Metadata": metadata(filename="x")})
    assert hooked.head(kept)["Upload-Metadata"] == metadata(filename="x")


def test_an_id_that_is_taken_is_refused_and_nothing_is_overwritten(
    hooked: Endpoint, hooks: HookServer
) -> None:
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"ID": "taken-1"}}
    upload = hooked.finish(b"first")
    for headers, body in (({}, b""), ({"Content-Type": OCTETS}, b"other")):
        answer = hooked.post({"Upload-Length": "5", **headers}, body)
        assert answer.status == 409
        assert answer.body.startswith(b"ERR_UPLOAD_EXISTS")
    hooked.assert_holds(upload, b"first")


def test_a_storage_path_appears_at_the_end_and_goes_with_the_upload(
    hooked: Endpoint, hooks: HookServer
) -> None:
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"Storage": {"Path": "by/day/ü x.txt"}}}
    upload = hooked.create(5)
    published = hooked.server.data / "by/day/ü x.txt"
    assert hooked.append(upload, 0, b"he").status == 204
    assert not published.exists()
    assert hooks.wait_for("post-create", of=upload)[0].upload["Storage"]["Path"] == str(
        hooked.data_file(upload)
    )
    assert hooked.append(upload, 2, b"llo").status == 204
    assert published.read_bytes() == b"hello"
    (told,) = hooks.wait_for("post-finish", of=upload)
    assert told.upload["Storage"]["Path"] == str(published)
    assert told.upload["Storage"]["InfoPath"] == str(hooked.info_file(upload))
    assert hooked.info(upload)["fast"]["path"] == "by/day/ü x.txt"
    second = hooked.post({"Upload-Length": "5"})
    assert second.status == 409
    assert hooked.ask("DELETE", upload).status == 204
    hooked.assert_gone(upload)
    assert not published.exists()


def test_a_storage_path_that_was_taken_meanwhile_is_not_overwritten(
    hooked: Endpoint, hooks: HookServer
) -> None:
    hooks.answers["pre-create"] = {"ChangeFileInfo": {"Storage": {"Path": "late/one.txt"}}}
    upload = hooked.create(5)
    other = hooked.server.data / "late/one.txt"
    other.parent.mkdir()
    other.write_bytes(b"another's")
    assert hooked.append(upload, 0, b"hello").status == 409
    assert other.read_bytes() == b"another's"
    hooked.assert_holds(upload, b"hello")
    (told,) = hooks.wait_for("post-finish", of=upload)
    assert told.upload["Storage"]["Path"] == str(hooked.data_file(upload))
    assert hooked.ask("DELETE", upload).status == 204
    assert other.read_bytes() == b"another's"


def test_a_termination_may_be_rejected(hooked: Endpoint, hooks: HookServer) -> None:
    upload = hooked.finish(b"hello")
    hooks.answers["pre-terminate"] = {"RejectTermination": True}
    answer = hooked.ask("DELETE", upload)
    assert answer.status == 400
    assert answer.body.startswith(b"ERR_UPLOAD_TERMINATION_REJECTED")
    hooked.assert_holds(upload, b"hello")
    hooks.answers["pre-terminate"] = {"HTTPResponse": {"Header": {"X-Gone": "1"}}}
    assert hooked.ask("DELETE", upload)["X-Gone"] == "1"


def test_an_upload_is_stopped_and_removed_while_its_bytes_come(
    hooked: Endpoint, hooks: HookServer
) -> None:
    upload = hooked.create(1_000_000)
    hooks.answers["post-receive"] = {
        "StopUpload": True,
        "HTTPResponse": {"StatusCode": 410, "Body": "project gone"},
    }
    with hooked.connect() as wire:
        wire.send(hooked.render_append(upload, 0, bytes(1_000_000))[:-500_000])
        answer = wire.read()
    assert (answer.status, answer.body) == (410, b"project gone")
    told = hooks.wait_for("post-receive", of=upload)[0]
    assert 0 < told.upload["Offset"] <= 500_000
    hooks.wait_for("post-terminate", of=upload)
    hooked.assert_gone(upload)


def test_progress_is_told_at_most_once_an_interval(hooked: Endpoint, hooks: HookServer) -> None:
    upload = hooked.create(1_000_000)
    with hooked.connect() as wire:
        wire.send(hooked.render_append(upload, 0, bytes(1_000_000))[:-900_000])
        first = hooks.wait_for("post-receive", of=upload)[0].upload["Offset"]
        wire.send(bytes(500_000))
        second = hooks.wait_for("post-receive", 2, of=upload)[1].upload["Offset"]
        wire.send(bytes(400_000))
        assert wire.read().status == 204
    assert 0 < first <= 100_000 < second <= 600_000


def test_an_upload_that_is_stopped_while_it_is_made_was_made_first(
    hooked: Endpoint, hooks: HookServer
) -> None:
    hooks.answers["post-receive"] = {"StopUpload": True}
    fields = {"Upload-Length": "1000000", "Content-Type": OCTETS}
    with hooked.connect() as wire:
        wire.send(render_request("POST", "/files/", fields, bytes(1_000_000))[:-500_000])
        assert wire.read().status == 400
    ident = hooks.wait_for("post-terminate")[0].upload["ID"]
    told = [kind for kind in hooks.types(ident) if kind not in {"pre-create", "post-receive"}]
    assert told == ["post-create", "post-terminate"]
