"""What is forged is refused by the S3 front with S3's code, and leaves nothing behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.storages import dart, forgeries
from tests.storages.app_server import AppServer
from tests.storages.forgeries import DATA, FORGERIES, KEY
from tests.storages.s3_clients import ask, bucket_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server import Server
    from tests.storages.dart import Bucket


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_with_the_code_of_s3(server: Server, name: str) -> None:
    forged = FORGERIES[name]
    answer = ask(server, forged.make(bucket_of(server)))
    code = re.search(rb"<Code>(\w+)</Code>", answer.body)
    assert (answer.status, code[1].decode() if code else "") == (forged.status, forged.code)
    assert list_all(server) == []


MAKERS: dict[str, tuple[Callable[[Bucket], bytes], int]] = {
    "get": (forgeries.get, 404),
    "url": (forgeries.url, 404),
    "delete": (forgeries.delete, 204),
    "put": (forgeries.put, 200),
    "store": (forgeries.store, 200),
    "form": (forgeries.form, 204),
    "chunks": (forgeries.chunks, 200),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_the_forgeries_are_made_of_is_served(server: Server, name: str) -> None:
    make, status = MAKERS[name]
    bucket = bucket_of(server)
    ask(server, dart.signed(bucket, "DELETE", KEY))
    assert ask(server, make(bucket)).status == status
    assert list_all(server) == ([KEY] if status in {200, 204} and name != "delete" else [])
    if list_all(server):
        assert ask(server, dart.signed(bucket, "GET", KEY)).body == DATA
    ask(server, dart.signed(bucket, "DELETE", KEY))


def list_all(server: Server) -> list[str]:
    told = AppServer(server).call("GET", "/v1/objects/public")
    return [each["path"] for each in told.json["objects"]]
