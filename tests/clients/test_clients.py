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

_QUEUED_BYTES: Final = 8 * MIB
"""Less than this is lost on the way, where a machine stood still as a connection broke."""

CLIENTS: Final[dict[str, tuple[Client, int]]] = {
    "tuspy": (tuspy(), _QUEUED_BYTES),
    "tuspy-checksum": (tuspy("checksum"), 26 * MIB),
    "aiotus": (aiotus(), _QUEUED_BYTES),
    "aiotus-concatenation": (aiotus("multiple"), 8 * MIB),
    "tus-js-client": (tus_js_client(), _QUEUED_BYTES),
    "tus-js-client-chunked": (tus_js_client("chunked"), _QUEUED_BYTES),
    "tus-js-client-override": (tus_js_client("override"), _QUEUED_BYTES),
    "tus-js-client-deferred": (tus_js_client("deferred"), _QUEUED_BYTES),
    "tus-js-client-creation": (tus_js_client("creation", "chunked"), 10 * MIB),
    "tus-js-client-concatenation": (tus_js_client("parallel"), _QUEUED_BYTES),
    "tusgo": (tusgo("plain"), _QUEUED_BYTES),
    "tusgo-checksum": (tusgo("checksum"), 26 * MIB),
    "tusgo-trailer": (tusgo("trailer"), 26 * MIB),
    "tusgo-creation": (tusgo("creation"), 10 * MIB),
    "tusgo-concatenation": (tusgo("concatenation"), _QUEUED_BYTES),
    "tus-java-client": (tus_java_client(), _QUEUED_BYTES),
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
