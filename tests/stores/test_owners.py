"""Whose an upload is, where its record is in a bucket: known to a server that never saw it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests import tokens
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.stores.clouds import CLOUDS, Cloud
from tests.tokens import bearer, shared

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

ALICE: Final = bearer(shared("alice"))
BOB: Final = bearer(shared("bob"))
SETTINGS: Final = {
    "FILELOFT_AUTH": "jwt",
    "FILELOFT_JWT_SECRET": tokens.JWT_SECRET,
    "FILELOFT_QUOTA_BYTES": "100",
    "FILELOFT_ENABLE_DOWNLOAD": "1",
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with CLOUDS["s3"](tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.mark.parametrize("mode", ["finish", "spool", "chunk"])
def test_another_server_knows_whose_an_upload_is(cloud: Cloud, mode: str, tmp_path: Path) -> None:
    settings = {**cloud.settings, **SETTINGS, "FILELOFT_ACK": mode}
    with Server(tmp_path / "one", settings) as one, Server(tmp_path / "two", settings) as two:
        first, second = Endpoint(one), Endpoint(two)
        upload = first.create(10, ALICE)
        assert first.append(upload, 0, b"hello", ALICE).status == 204
        assert first.head(upload, BOB).status == second.head(upload, BOB).status == 404
        if mode == "chunk":
            assert second.head(upload, ALICE)["Upload-Offset"] == "5"
            assert second.append(upload, 5, b"world", BOB).status == 404
        assert first.append(upload, 5, b"world", ALICE).status == 204
        eventually(lambda: second.ask("GET", upload, ALICE).body == b"helloworld")
        for endpoint in (first, second):
            for method in ("HEAD", "GET", "DELETE"):
                assert endpoint.ask(method, upload, BOB).status == 404
        assert second.ask("DELETE", upload, ALICE).status == 204
