"""The disk behind the protocol: low space, and what a directory of the server's holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.endpoint import Endpoint
from tests.wire import OCTETS

if TYPE_CHECKING:
    from tests.conftest import Fleet


@pytest.mark.parametrize("body", [None, b"hello"])
def test_creation_on_a_disk_that_is_nearly_full_is_507(fleet: Fleet, body: bytes | None) -> None:
    full = fleet.endpoint(MIN_FREE="1000000G")
    headers = {"Upload-Length": "5"} | ({} if body is None else {"Content-Type": OCTETS})
    answer = full.post(headers, body or b"")
    assert answer.status == 507
    assert "Location" not in answer
    assert answer["Tus-Resumable"] == "1.0.0"
    assert full.uploads() == set()


def test_an_upload_has_two_files_and_fileloft_reads_the_second(tus: Endpoint) -> None:
    before = tus.files()
    upload = tus.create_holding(b"abc", 5)
    name = upload.removeprefix(tus.base)
    assert tus.files() - before == {name, f"{name}.info"}
    info = json.loads(tus.info_file(upload).read_bytes())
    assert info["id"] == upload.removeprefix(tus.base)
    assert info["size"] == 5
    assert info["size_is_deferred"] is False
    assert info["is_partial"] is info["is_final"] is False
    assert info["partial_uploads"] == []
    assert {"offset", "metadata", "expires_at", "storage", "fast"} <= set(info)


def test_uploads_survive_a_restart(fleet: Fleet) -> None:
    with fleet.start() as server:
        first = Endpoint(server)
        deferred = first.create(None, {"Upload-Metadata": "a YQ==,b"})
        begun = first.create_holding(b"abc", 5)
        complete = first.finish(b"hello")
        assert first.append(deferred, 0, b"xyz").status == 204
    with fleet.restart(server) as server:
        again = Endpoint(server)
        again.assert_holds(deferred, b"xyz")
        assert again.head(deferred)["Upload-Defer-Length"] == "1"
        assert again.head(deferred)["Upload-Metadata"] == "a YQ==,b"
        again.assert_holds(begun, b"abc")
        again.assert_holds(complete, b"hello")
        assert again.append(begun, 3, b"de").status == 204
        again.assert_holds(begun, b"abcde")


@pytest.mark.parametrize("sync", ["none", "complete", "chunk"])
def test_every_way_of_flushing_stores_the_same(fleet: Fleet, sync: str) -> None:
    endpoint = fleet.endpoint(SYNC=sync)
    upload = endpoint.create_holding(b"abc", 6)
    assert endpoint.append(upload, 3, b"def").status == 204
    endpoint.assert_holds(upload, b"abcdef")
    endpoint.assert_holds(endpoint.finish(b"hello"), b"hello")
    endpoint.assert_holds(endpoint.create(0), b"")
