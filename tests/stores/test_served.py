"""What is stored, as it is given out: by the server that stored it, and by one that did not."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest
import zstandard

from tests.deadline import eventually
from tests.endpoint import Endpoint, metadata
from tests.server import Server
from tests.stores.clouds import CLOUDS, Cloud, key_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wire import Answer

pytestmark = pytest.mark.e2e

MIB: Final = 1024 * 1024
PART: Final = 5 * MIB
BYTES: Final = random.Random("served").randbytes(2 * PART + 4321)
PATIENCE_S: Final = 60.0
SIZES: Final = [0, 100, len(BYTES)]
SETTINGS: Final = {
    "FILELOFT_PART_SIZE": "5M",
    "FILELOFT_ENABLE_DOWNLOAD": "1",
    "FILELOFT_ENABLE_CONCATENATION": "1",
}


class Pair:
    """Two servers on one bucket, each with a spool of its own."""

    def __init__(self, cloud: Cloud, first: Server, second: Server) -> None:
        self.cloud = cloud
        self.first = Endpoint(first)
        self.second = Endpoint(second)

    def finish(self, content: bytes, **headers: str) -> str:
        """Return an upload that the first server has finished, and its spool forgotten."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        upload = self.first.create(len(content), fields)
        if content:
            self.append(self.first, upload, 0, content)
        info = self.first.info_file(upload)
        eventually(lambda: not info.exists(), within_s=PATIENCE_S)
        return upload

    def append(self, endpoint: Endpoint, upload: str, offset: int, body: bytes) -> None:
        """PATCH, and see it accepted."""
        with endpoint.connect(PATIENCE_S) as wire:
            answer = wire.ask(endpoint.render_append(upload, offset, body))
        assert answer.status == 204, answer

    def traces(self, upload: str) -> list[str]:
        """Return what of an upload is in the bucket."""
        found = [*self.cloud.keys(), *self.cloud.sessions()]
        return [key for key in found if key_of(upload) in key]


@pytest.fixture(scope="module", params=sorted(CLOUDS))
def cloud(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with CLOUDS[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture(scope="module")
def pair(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    settings = {**cloud.settings, **SETTINGS}
    with (
        Server(tmp_path_factory.mktemp("first"), settings) as first,
        Server(tmp_path_factory.mktemp("second"), settings) as second,
    ):
        yield Pair(cloud, first, second)


def told(answer: Answer) -> dict[str, str]:
    """Return what an answer says of an upload, without what is of the moment."""
    return {name: value for name, value in answer.fields if name not in {"Date", "Retry-After"}}


@pytest.mark.parametrize("size", SIZES)
def test_a_server_tells_of_what_another_has_finished(size: int, pair: Pair) -> None:
    pairs = metadata(filename="naïve.txt", filetype="text/plain", more=b"\0\xff")
    upload = pair.finish(BYTES[:size], Upload_Metadata=pairs)
    head = pair.second.head(upload)
    assert head.status == 200
    assert head["Upload-Offset"] == head["Upload-Length"] == str(size)
    assert head["Upload-Metadata"] == pairs
    assert told(head) == told(pair.first.head(upload))


@pytest.mark.parametrize("size", SIZES)
def test_a_server_gives_out_what_another_has_finished(size: int, pair: Pair) -> None:
    upload = pair.finish(BYTES[:size])
    answer = pair.second.ask("GET", upload)
    assert (answer.status, answer.body) == (200, BYTES[:size])
    assert told(answer) == told(pair.first.ask("GET", upload))


def test_a_range_begun_at_one_server_goes_on_at_another(pair: Pair) -> None:
    upload = pair.finish(BYTES)
    begun = pair.first.ask("GET", upload, {"Range": f"bytes=0-{PART}"})
    rest = {"Range": f"bytes={PART + 1}-", "If-Range": begun["ETag"]}
    ended = pair.second.ask("GET", upload, rest)
    assert (begun.status, ended.status) == (206, 206)
    assert begun.body + ended.body == BYTES


@pytest.mark.parametrize("size", SIZES)
def test_a_server_deletes_what_another_has_finished(size: int, pair: Pair) -> None:
    upload = pair.finish(BYTES[:size])
    assert pair.first.head(upload).status == 200
    assert pair.second.ask("DELETE", upload).status == 204
    assert pair.traces(upload) == []
    for endpoint in (pair.first, pair.second):
        endpoint.assert_gone(upload)
        assert endpoint.ask("GET", upload).status in {404, 410}


def test_nothing_is_added_to_what_another_server_has_finished(pair: Pair) -> None:
    upload = pair.finish(BYTES[:100])
    assert pair.second.append(upload, 50, b"x").status == 409
    assert 400 <= pair.second.append(upload, 100, b"x").status < 500
    assert pair.second.ask("GET", upload).body == BYTES[:100]


@pytest.mark.parametrize("size", [0, 100, PART + 10])
def test_a_server_knows_nothing_of_what_another_has_not_finished(size: int, pair: Pair) -> None:
    upload = pair.first.create(len(BYTES))
    if size:
        pair.append(pair.first, upload, 0, BYTES[:size])
    if size > PART:
        eventually(lambda: pair.traces(upload), within_s=PATIENCE_S)
    for method in ("HEAD", "GET", "DELETE"):
        assert pair.second.ask(method, upload).status == 404
    assert pair.second.append(upload, size, b"x").status == 404
    assert pair.first.offset(upload) == size
    pair.append(pair.first, upload, size, BYTES[size:])
    assert pair.cloud.sha256(upload) == hashlib.sha256(BYTES).hexdigest()
    assert pair.second.offset(upload) == len(BYTES)


def test_a_sweep_leaves_what_another_server_has_not_finished(pair: Pair, tmp_path: Path) -> None:
    upload = pair.first.create(len(BYTES))
    pair.append(pair.first, upload, 0, BYTES[: PART + 10])
    eventually(lambda: pair.traces(upload), within_s=PATIENCE_S)
    young = {"FILELOFT_ORPHAN_AGE": "1", "FILELOFT_DATA_DIR": str(tmp_path)}
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-m", "fileloft_fast", "sweep"],
            env={"PATH": "/usr/bin:/bin", **pair.cloud.settings, **SETTINGS, **young},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
    pair.append(pair.first, upload, PART + 10, BYTES[PART + 10 :])
    assert pair.cloud.sha256(upload) == hashlib.sha256(BYTES).hexdigest()


def test_a_server_joins_partial_uploads_that_another_has_finished(pair: Pair) -> None:
    pieces = [BYTES[:PART], BYTES[PART : 2 * PART], BYTES[2 * PART :]]
    partials = [pair.finish(piece, Upload_Concat="partial") for piece in pieces]
    answer = pair.second.post({"Upload-Concat": f"final;{' '.join(partials)}"})
    assert answer.status == 201, answer
    final = pair.second.path_of(answer)
    assert pair.cloud.sha256(final) == hashlib.sha256(BYTES).hexdigest()
    eventually(lambda: pair.first.head(final).status == 200, within_s=PATIENCE_S)
    assert pair.first.ask("GET", final).body == BYTES


@contextmanager
def serving(cloud: Cloud, spool: Path, **settings: str) -> Iterator[Pair]:
    """Run a server of its own before *cloud*."""
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    with Server(spool, {**cloud.settings, **SETTINGS, **own}) as server:
        yield Pair(cloud, server, server)


def test_a_range_is_cut_out_of_a_large_object(pair: Pair) -> None:
    upload = pair.finish(BYTES)
    answer = pair.first.ask("GET", upload, {"Range": f"bytes={PART - 100}-{PART + 99}"})
    assert (answer.status, answer.body) == (206, BYTES[PART - 100 : PART + 100])
    assert answer["Content-Range"] == f"bytes {PART - 100}-{PART + 99}/{len(BYTES)}"
    assert pair.first.ask("GET", upload, {"Range": "bytes=-10"}).body == BYTES[-10:]


def test_what_a_client_has_is_not_sent_again(pair: Pair) -> None:
    upload = pair.finish(BYTES)
    etag = pair.first.ask("GET", upload, {"Range": "bytes=0-0"})["ETag"]
    for endpoint in (pair.first, pair.second):
        assert endpoint.ask("GET", upload, {"If-None-Match": etag}).status == 304
        same = endpoint.ask("GET", upload, {"Range": "bytes=1-2", "If-Range": etag})
        assert (same.status, same.body) == (206, BYTES[1:3])
        other = endpoint.ask("GET", upload, {"Range": "bytes=1-2", "If-Range": '"another"'})
        assert (other.status, other.body) == (200, BYTES)


def test_a_redirect_leads_to_the_bytes_under_their_name(cloud: Cloud, tmp_path: Path) -> None:
    with serving(cloud, tmp_path, DOWNLOAD_REDIRECT="1") as pair:
        pairs = metadata(filename="a b.txt", filetype="text/plain")
        upload = pair.finish(BYTES, Upload_Metadata=pairs)
        answer = pair.first.ask("GET", upload)
        assert answer.status == 302
        with urlopen(answer["Location"], timeout=PATIENCE_S) as found:
            assert found.read() == BYTES
            assert found.headers["Content-Type"] == "text/plain"
            assert "a b.txt" in found.headers["Content-Disposition"].replace("%20", " ")


@pytest.mark.parametrize(
    "content", [b"ab" * 50_000, BYTES + bytes(8 * MIB)], ids=["small", "large"]
)
def test_a_compressed_object_is_zstd_and_its_download_is_not(
    content: bytes, cloud: Cloud, tmp_path: Path
) -> None:
    with serving(cloud, tmp_path, FLUSH_ZSTD="3") as pair:
        upload = pair.finish(content)
        kept = cloud.look(key_of(upload))
        assert kept is not None
        assert kept.encoding == "zstd"
        assert len(kept.content) < len(content) - 50_000
        decoder = zstandard.ZstdDecompressor()
        with decoder.stream_reader(kept.content, read_across_frames=True) as reader:
            assert reader.read() == content
        middle = len(content) // 2
        part = pair.first.ask("GET", upload, {"Range": f"bytes={middle}-{middle + 999}"})
        assert (part.status, part.body) == (206, content[middle : middle + 1000])
        whole = pair.first.ask("GET", upload)
        assert (whole.body, whole.get("Content-Encoding")) == (content, None)
        assert pair.first.offset(upload) == len(content)
