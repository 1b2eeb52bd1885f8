"""Each real client, cut off four times, with each object store behind the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.conftest import MIB, ROUGH, SAMPLE_BYTES, Sample, make_sample, url
from tests.clients.test_clients import CLIENTS, run
from tests.proxy import Proxy
from tests.server import Server
from tests.stores.clouds import CLOUDS, Cloud

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

# What comes at once with a checksum waits in the spool until it is verified, and is sent again.
_PARTS: Final = {"FILELOFT_PART_SIZE": "5M", "FILELOFT_ENABLE_CONCATENATION": "1"}


@pytest.fixture(scope="module", params=sorted(CLOUDS))
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with CLOUDS[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def server(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("spool"), {**cloud.settings, **_PARTS}) as running:
        yield running


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_resumes_and_its_object_is_the_file(
    name: str, server: Server, cloud: Cloud, sample: Sample, tmp_path: Path
) -> None:
    client, repeated = CLIENTS[name]
    with Proxy(server.address, breaks=ROUGH) as rough:
        location = run(client(url(rough), sample, tmp_path / "kept"))
        assert not rough.breaks, "the way was not rough enough"
        assert rough.passed_up - SAMPLE_BYTES < repeated + 4 * MIB, "it began anew"
    assert cloud.sha256(location) == sample.sha256
