"""Each real client creates an upload, is cut off four times, resumes, and its file arrives."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pytest

from tests.clients.commands import Client, aiotus, tus_java_client, tus_js_client, tusgo, tuspy
from tests.clients.conftest import MIB, SAMPLE_BYTES, Sample, assert_arrived, url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoint import Endpoint
    from tests.proxy import Proxy

PATIENCE_S: Final = 180

pytestmark = pytest.mark.e2e

CLIENTS: Final[dict[str, tuple[Client, int]]] = {
    "tuspy": (tuspy(), 4 * MIB),
    "tuspy-checksum": (tuspy("checksum"), 26 * MIB),
    "aiotus": (aiotus(), 4 * MIB),
    "aiotus-concatenation": (aiotus("multiple"), 8 * MIB),
    "tus-js-client": (tus_js_client(), 4 * MIB),
    "tus-js-client-chunked": (tus_js_client("chunked"), 4 * MIB),
    "tus-js-client-override": (tus_js_client("override"), 4 * MIB),
    "tus-js-client-deferred": (tus_js_client("deferred"), 4 * MIB),
    "tus-js-client-creation": (tus_js_client("creation", "chunked"), 10 * MIB),
    "tus-js-client-concatenation": (tus_js_client("parallel"), 4 * MIB),
    "tusgo": (tusgo("plain"), 4 * MIB),
    "tusgo-checksum": (tusgo("checksum"), 26 * MIB),
    "tusgo-trailer": (tusgo("trailer"), 26 * MIB),
    "tusgo-creation": (tusgo("creation"), 10 * MIB),
    "tusgo-concatenation": (tusgo("concatenation"), 4 * MIB),
    "tus-java-client": (tus_java_client(), 4 * MIB),
}
"""Each client, and the most that it may send twice over four interruptions."""


def run(words: Sequence[str]) -> str:
    """Run a client to its end and return what it printed: the upload's URL."""
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout.strip()


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_resumes_and_its_file_arrives(
    name: str, rough: Proxy, endpoint: Endpoint, sample: Sample, tmp_path: Path
) -> None:
    client, repeated = CLIENTS[name]
    location = run(client(url(rough), sample, tmp_path / "kept"))
    assert_arrived(endpoint, location, sample)
    assert not rough.breaks, "the way was not rough enough"
    assert rough.passed_up - SAMPLE_BYTES < repeated, "it began anew where it could resume"
