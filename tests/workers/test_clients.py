"""Real clients, cut off four times, whose connections come to whichever of four workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import (
    MIB,
    ROUGH,
    SAMPLE_BYTES,
    Sample,
    assert_arrived,
    make_sample,
    url,
)
from tests.clients.test_clients import CLIENTS, run
from tests.endpoint import Endpoint
from tests.proxy import Proxy
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

# A kind of each; tus-java-client gives up at a 409, so that each offset has to be exact.
SOME = (
    "tuspy",
    "aiotus-concatenation",
    "tus-js-client-chunked",
    "tusgo-trailer",
    "tus-java-client",
)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    settings = {"FILELOFT_WORKERS": "4", "FILELOFT_ENABLE_CONCATENATION": "1"}
    with Server(tmp_path_factory.mktemp("four"), settings) as server:
        server.wait_for_log("msg=serving")
        yield Endpoint(server)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("name", SOME)
def test_a_client_resumes_in_whichever_worker_and_its_file_arrives(
    name: str, four: Endpoint, sample: Sample, tmp_path: Path
) -> None:
    client, repeated = CLIENTS[name]
    with Proxy(four.server.address, breaks=ROUGH) as rough:
        location = run(client(url(rough), sample, tmp_path / "kept"))
        assert_arrived(four, location, sample)
        assert not rough.breaks, "the way was not rough enough"
        assert rough.passed_up - SAMPLE_BYTES < repeated + MIB, "it began anew"
