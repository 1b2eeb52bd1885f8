"""A client is killed in the middle of an upload; the next run of it goes on where it was."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Final

import pytest

from tests.clients.commands import Client, tus_js_client, tuspy
from tests.clients.conftest import MIB, SAMPLE_BYTES, Sample, assert_arrived, program, url
from tests.deadline import eventually
from tests.proxy import Break, End, Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoint import Endpoint

STALL_AT: Final = 21 * MIB
PATIENCE_S: Final = 180

pytestmark = pytest.mark.e2e


@pytest.fixture
def stalling(endpoint: Endpoint) -> Iterator[Proxy]:
    """Return a way to the server on which everything stops once, after STALL_AT bytes."""
    stall = Break(at=STALL_AT, end=End.STALL)
    with Proxy(endpoint.server.address, breaks=[stall]) as proxy:
        yield proxy


def run_until_stalled(words: Sequence[str], proxy: Proxy) -> None:
    """Run a client until nothing moves any more, and kill it."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        try:
            eventually(lambda: not proxy.breaks, within_s=PATIENCE_S)
        finally:
            client.kill()


@pytest.mark.parametrize("client", [tuspy(), tus_js_client()], ids=["tuspy", "tus-js-client"])
def test_another_run_goes_on(
    client: Client, stalling: Proxy, endpoint: Endpoint, sample: Sample, tmp_path: Path
) -> None:
    before = endpoint.uploads()
    words = client(url(stalling), sample, tmp_path / "kept")
    run_until_stalled(words, stalling)
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, ended.stderr
    assert_arrived(endpoint, ended.stdout.strip(), sample)
    assert len(endpoint.uploads() - before) == 1, "it began anew"
    assert stalling.passed_up < SAMPLE_BYTES + 9 * MIB


class Curl:
    """Plain curl, spoken to as a person would."""

    common: Final = ("--silent", "--show-error", "--fail", "--header", "Tus-Resumable: 1.0.0")

    def words(self, target: str, *options: str) -> list[str]:
        return [program("curl"), *self.common, *options, target]

    def ask(self, target: str, *options: str, stdin: IO[bytes] | None = None) -> dict[str, str]:
        """Run curl and return the header fields of the answer, their names in lower case."""
        words = self.words(target, "--dump-header", "-", "--output", "/dev/null", *options)
        ended = subprocess.run(
            words, stdin=stdin, capture_output=True, timeout=PATIENCE_S, check=False
        )
        assert ended.returncode == 0, ended.stderr
        lines = ended.stdout.decode().splitlines()
        pairs = [line.split(": ", 1) for line in lines if ": " in line]
        return {name.lower(): value for name, value in pairs}


def test_curl(stalling: Proxy, endpoint: Endpoint, sample: Sample) -> None:
    curl = Curl()
    created = curl.ask(url(stalling), "-X", "POST", "-H", f"Upload-Length: {SAMPLE_BYTES}")
    upload = created["location"]
    octets = ("-X", "PATCH", "-H", "Content-Type: application/offset+octet-stream")
    whole = (*octets, "-H", "Upload-Offset: 0", "-T", str(sample.path))
    run_until_stalled(curl.words(upload, *whole), stalling)
    offset = curl.ask(upload, "--head")["upload-offset"]
    assert 0 < int(offset) <= STALL_AT + MIB
    with sample.path.open("rb") as rest:
        rest.seek(int(offset))
        answer = curl.ask(upload, *octets, "-H", f"Upload-Offset: {offset}", "-T", "-", stdin=rest)
    assert answer["upload-offset"] == str(SAMPLE_BYTES)
    assert_arrived(endpoint, upload, sample)
