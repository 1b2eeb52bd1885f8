"""tus-js-client by the IETF's protocol: it is cut off, goes on, and its bytes are there.

Of the last part of a file in Node it says that it is not the end (``FileSource.slice`` compares the
part with the whole) and then that all went well: the length that it has told ends the upload.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from tests.clients.commands import tus_js_client
from tests.clients.conftest import MIB, Sample, url
from tests.proxy import Break, End, Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.endpoint import Endpoint

LARGE_BYTES: Final = 200 * MIB
SMALL_BYTES: Final = 2 * MIB + 4321
PATIENCE_S: Final = 180

PROTOCOLS: Final = {"ietf-draft-03": "5", "ietf-draft-05": "6"}
"""What the client calls each draft that it speaks, and the interop version that it sends."""

pytestmark = pytest.mark.e2e

MODES: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("creation",),
    ("chunk:500000",),
    ("creation", "chunk:500000"),
    ("buffer", "chunk:500000"),
    ("deferred", "chunk:500000"),
)


def make_sample(folder: Path, size: int) -> Sample:
    """Write *size* bytes into *folder*: a block over and over, whose size fits no other one."""
    block = random.Random(size).randbytes(MIB + 7)
    content = (block * (size // len(block) + 1))[:size]
    path = folder / f"{size}.bin"
    path.write_bytes(content)
    return Sample(path, hashlib.sha256(content).hexdigest())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    sample = make_sample(tmp_path_factory.mktemp("large"), LARGE_BYTES)
    yield sample
    sample.path.unlink()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("small"), SMALL_BYTES)


def upload(way: Proxy, sample: Sample, kept: Path, modes: Sequence[str]) -> str:
    """Upload *sample* by *modes* on *way*, and return the path of the upload."""
    words = tus_js_client(*modes)(url(way), sample, kept)
    ended = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.returncode == 0, f"{words}\n{ended.stdout}\n{ended.stderr}"
    return urlsplit(ended.stdout.strip()).path


def has_ended(endpoint: Endpoint, path: str, protocol: str) -> bool:
    """Return whether the upload at *path* is complete, as its own protocol tells."""
    version = {"Upload-Draft-Interop-Version": PROTOCOLS[protocol]}
    answer = endpoint.head(path, {"Tus-Resumable": None, **version})
    assert answer["Upload-Offset"] == answer["Upload-Length"]
    return {"?0": False, "?1": True}[answer["Upload-Complete"]]


def assert_holds(endpoint: Endpoint, path: str, sample: Sample) -> None:
    """Assert that the upload at *path* has the bytes of *sample*, and that tus says so too."""
    assert endpoint.offset(path) == sample.path.stat().st_size
    assert hashlib.sha256(endpoint.stored(path)).hexdigest() == sample.sha256


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_200_mib_are_cut_off_three_times_and_go_on(
    protocol: str, endpoint: Endpoint, large: Sample, tmp_path: Path
) -> None:
    before = endpoint.uploads()
    breaks = (
        Break(at=30 * MIB, end=End.RESET),
        Break(at=90 * MIB, end=End.CLOSE),
        Break(at=150 * MIB, end=End.RESET),
    )
    with Proxy(endpoint.server.address, breaks=breaks) as rough:
        path = upload(rough, large, tmp_path / "kept", (protocol,))
        assert not rough.breaks, "the way was not rough enough"
        # What was on its way at a cut is sent again; of one that began anew, 30 MiB at least.
        assert rough.passed_up - LARGE_BYTES < 30 * MIB, "it began anew where it could resume"
    assert_holds(endpoint, path, large)
    assert has_ended(endpoint, path, protocol)
    assert len(endpoint.uploads() - before) == 1
    endpoint.data_file(path).unlink()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("modes", MODES, ids="-".join)
def test_an_upload_ends(
    protocol: str, modes: tuple[str, ...], endpoint: Endpoint, small: Sample, tmp_path: Path
) -> None:
    with Proxy(endpoint.server.address) as way:
        path = upload(way, small, tmp_path / "kept", (protocol, *modes))
    assert_holds(endpoint, path, small)
    assert has_ended(endpoint, path, protocol)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_upload_ends(protocol: str, endpoint: Endpoint, tmp_path: Path) -> None:
    empty = make_sample(tmp_path, 0)
    with Proxy(endpoint.server.address) as way:
        path = upload(way, empty, tmp_path / "kept", (protocol,))
    assert_holds(endpoint, path, empty)
    assert has_ended(endpoint, path, protocol)
