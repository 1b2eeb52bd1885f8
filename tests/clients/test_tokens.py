"""Real clients with a token, in a field or in the URL they were given, over a rough network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests import tokens
from tests.clients.commands import Client, tus_js_client, tuspy
from tests.clients.conftest import ROUGH, Sample, url
from tests.clients.test_clients import run
from tests.endpoint import Endpoint
from tests.proxy import Proxy
from tests.tokens import grant, shared

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Fleet

pytestmark = pytest.mark.e2e

TOKEN: Final = "bearer:@TOKEN@"
CLIENTS: Final[dict[str, tuple[Client, bool]]] = {
    "tuspy": (tuspy(TOKEN), False),
    "tus-js-client": (tus_js_client(TOKEN), False),
    "tus-js-client-parallel": (tus_js_client(TOKEN, "parallel"), False),
    "tus-js-client-by-query": (tus_js_client(), True),
    "tus-js-client-by-query-chunked": (tus_js_client("chunked", "creation"), True),
    "tus-js-client-by-query-parallel": (tus_js_client("parallel"), True),
}
"""Each client, and whether its token is in the URL."""


@pytest.fixture(scope="module")
def guarded(fleet: Fleet) -> Iterator[Endpoint]:
    with fleet.start(
        AUTH="jwt,grant",
        JWT_SECRET=tokens.JWT_SECRET,
        GRANT_SECRET=tokens.GRANT_SECRET,
        ENABLE_CONCATENATION="1",
        LOG="trace",
    ) as server:
        yield Endpoint(server)
    assert "eyJ" not in "\n".join(server.log)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_with_a_token_resumes_and_its_file_arrives(
    name: str, guarded: Endpoint, sample: Sample, tmp_path: Path
) -> None:
    client, by_query = CLIENTS[name]
    token = grant(subject=name, uploads=None) if by_query else shared(name)
    with ExitStack() as stack:
        rough = stack.enter_context(Proxy(guarded.server.address, breaks=ROUGH))
        to = f"{url(rough)}?token={token}" if by_query else url(rough)
        words = client(to, sample, tmp_path / "kept")
        location = run([word.replace("@TOKEN@", token) for word in words])
    upload = urlsplit(location).path
    assert hashlib.sha256(guarded.stored(upload)).hexdigest() == sample.sha256
    assert guarded.info(upload)["fast"]["subject"] == name
    assert guarded.head(upload).status == 401
