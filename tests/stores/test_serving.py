"""A server before an object store: downloads, starts and stops, also while the store fails."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.request import urlopen

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server
from tests.stores.gcs_fake import GcsFake
from tests.wire import Answer, NoAnswerError, render_request

if TYPE_CHECKING:
    from pathlib import Path

CONTENT: Final = bytes(range(251)) * 1000
BIG: Final = bytes(range(256)) * 4 * 1024 * 12  # more than the sockets in between hold
DOWNLOADS: Final = {"FILELOFT_ENABLE_DOWNLOAD": "1"}


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsFake]:
    with GcsFake(tmp_path_factory.mktemp("gcs")) as running:
        yield running


@pytest.fixture(autouse=True)
def healed(fake: GcsFake) -> None:
    fake.restart()
    fake.heal()


@contextmanager
def serving(fake: GcsFake, directory: Path, **settings: str) -> Iterator[Endpoint]:
    """Run a server of its own with downloads, in *directory*."""
    own = {f"FILELOFT_{name}": value for name, value in settings.items()}
    with Server(directory, {**fake.settings, **DOWNLOADS, **own}) as server:
        yield Endpoint(server)


@pytest.fixture(scope="module")
def shop(fake: GcsFake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with serving(fake, tmp_path_factory.mktemp("spool"), BODY_TIMEOUT="1") as endpoint:
        yield endpoint


def stored(endpoint: Endpoint, content: bytes) -> str:
    """Return a finished upload that is in the object store, and nowhere else."""
    upload = endpoint.finish(content)
    eventually(lambda: not endpoint.info_file(upload).exists())
    return upload


def get(endpoint: Endpoint, upload: str, **headers: str) -> Answer:
    return endpoint.ask("GET", upload, {name.replace("_", "-"): v for name, v in headers.items()})


def test_a_download_comes_from_the_store(shop: Endpoint) -> None:
    answer = get(shop, stored(shop, CONTENT))
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(("wanted", "start", "end"), [("0-0", 0, 1), ("1000-", 1000, 251_000)])
def test_a_range_comes_from_the_store(shop: Endpoint, wanted: str, start: int, end: int) -> None:
    answer = get(shop, stored(shop, CONTENT), Range=f"bytes={wanted}")
    assert (answer.status, answer.body) == (206, CONTENT[start:end])
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/251000"


def test_what_needs_no_bytes_asks_for_none(shop: Endpoint, fake: GcsFake) -> None:
    upload, empty = stored(shop, CONTENT), stored(shop, b"")
    etag = get(shop, upload)["ETag"]
    fake.heal()
    assert get(shop, upload, If_None_Match=etag).status == 304
    assert shop.head(upload).status == 200
    assert get(shop, empty).body == b""
    with shop.connect() as wire:
        wire.send(render_request("GET", upload, {"Range": "bytes=999999-"}))
        assert wire.read().status == 416
    assert len(fake.asked) == 4  # the records, and no object


def test_downloads_in_a_row_share_a_connection(shop: Endpoint) -> None:
    upload = stored(shop, CONTENT)
    request = render_request("GET", upload)
    with shop.connect() as wire:
        wire.send(request * 3)
        assert [wire.read().body for _ in range(3)] == [CONTENT] * 3


def test_http_1_0_gets_the_whole_and_the_end(shop: Endpoint) -> None:
    upload = stored(shop, CONTENT)
    with shop.connect() as wire:
        wire.send(f"GET {upload} HTTP/1.0\r\nTus-Resumable: 1.0.0\r\n\r\n".encode())
        answer = wire.read()
        assert (answer.status, answer.body, answer.closes) == (200, CONTENT, True)
        wire.assert_silent_end()


def test_a_connection_to_the_store_that_breaks_is_not_the_client_s_concern(
    shop: Endpoint, fake: GcsFake
) -> None:
    upload = stored(shop, CONTENT)
    fake.fail("get", "cut", size=100_000)
    assert get(shop, upload).body == CONTENT


def test_a_store_that_is_down_is_503_and_the_client_may_come_back(
    shop: Endpoint, fake: GcsFake
) -> None:
    upload = stored(shop, CONTENT)
    fake.kill()
    for method in ("GET", "HEAD"):
        with shop.connect(30) as wire:
            answer = wire.ask(render_request(method, upload))
            assert (answer.status, answer.closes) == (503, False)
            assert answer["Retry-After"] in set("12345")
    fake.restart()
    assert get(shop, upload).body == CONTENT


def test_a_store_that_dies_in_the_middle_cuts_the_download(shop: Endpoint, fake: GcsFake) -> None:
    upload = stored(shop, BIG)
    with shop.connect(60) as wire:
        wire.send(render_request("GET", upload))
        wire.wait_readable(10)
        fake.kill()
        with pytest.raises((NoAnswerError, ConnectionResetError)):
            wire.read()
    shop.server.wait_for_log("answer cut short")


def test_a_client_that_leaves_ends_the_download(shop: Endpoint) -> None:
    upload = stored(shop, BIG)
    before = len(shop.server.open_files())
    with shop.connect() as wire:
        wire.send(render_request("GET", upload))
        wire.wait_readable(10)
        wire.reset()
    eventually(lambda: len(shop.server.open_files()) <= before)


def test_a_download_that_nobody_reads_is_ended(shop: Endpoint) -> None:
    upload = stored(shop, BIG)
    with shop.connect() as wire:
        wire.send(render_request("GET", upload))
        wire.wait_readable(10)
        before = len(shop.server.open_files())
        eventually(lambda: len(shop.server.open_files()) < before)
        with pytest.raises((NoAnswerError, ConnectionResetError)):
            wire.read()


def test_a_download_can_be_a_redirect(fake: GcsFake, tmp_path: Path) -> None:
    with serving(fake, tmp_path, DOWNLOAD_REDIRECT="1", REDIRECT_TTL="60") as endpoint:
        upload = stored(endpoint, CONTENT)
        answer = get(endpoint, upload, Range="bytes=0-9")
        assert (answer.status, answer["Cache-Control"]) == (302, "no-store")
        with urlopen(answer["Location"], timeout=10) as object_:
            assert object_.read() == CONTENT
        assert endpoint.head(upload).status == 200


def test_a_server_starts_without_its_store(fake: GcsFake, tmp_path: Path) -> None:
    fake.kill()
    started = time.monotonic()
    with serving(fake, tmp_path, ACK="spool") as endpoint:
        assert time.monotonic() - started < 10
        upload = endpoint.finish(CONTENT)
        endpoint.assert_holds(upload, CONTENT)
        assert get(endpoint, upload).body == CONTENT
        fake.restart()
        eventually(lambda: not endpoint.info_file(upload).exists())
        assert get(endpoint, upload).body == CONTENT


def test_who_waits_for_the_store_is_answered_when_the_server_stops(
    fake: GcsFake, tmp_path: Path
) -> None:
    with serving(fake, tmp_path, SHUTDOWN_TIMEOUT="0.5") as endpoint:
        upload = endpoint.create(len(CONTENT))
        fake.kill()
        with endpoint.connect(30) as wire:
            wire.send(endpoint.render_append(upload, 0, CONTENT))
            eventually(lambda: endpoint.stored(upload) == CONTENT)
            endpoint.server.terminate()
            answer = wire.read()
            assert (answer.status, answer.closes) == (503, True)
        assert endpoint.server.wait() == 0
        fake.restart()
    with serving(fake, tmp_path) as endpoint:
        assert endpoint.offset(upload) == len(CONTENT)
        assert get(endpoint, upload).body == CONTENT


def test_one_warning_tells_of_local_locks(fake: GcsFake, tmp_path: Path) -> None:
    with serving(fake, tmp_path) as endpoint:
        pass
    assert len([line for line in endpoint.server.log if "FILELOFT_LOCK=local" in line]) == 1
    with serving(fake, tmp_path, LOCK="store") as endpoint:
        pass
    assert not any("FILELOFT_LOCK" in line for line in endpoint.server.log)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"FILELOFT_BACKEND": "azure"}, "FILELOFT_AZURE_CONTAINER: must be set"),
        (
            {"FILELOFT_BACKEND": "azure", "FILELOFT_AZURE_CONTAINER": "c"},
            "FILELOFT_AZURE_ACCOUNT: set it",
        ),
    ],
)
def test_settings_that_name_no_store_are_one_line(
    settings: dict[str, str], line: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "fileloft_fast"]
    env = {"PATH": "/usr/bin:/bin", "FILELOFT_DATA_DIR": str(tmp_path), **settings}
    ended = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"fileloft-fast: {line}")
    assert ended.stderr.count("\n") == 1


def test_a_missing_extra_is_one_line(fake: GcsFake, tmp_path: Path) -> None:
    (tmp_path / "google").mkdir()
    (tmp_path / "google" / "__init__.py").write_text("raise ModuleNotFoundError(name='google')")
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(tmp_path),
        "FILELOFT_DATA_DIR": str(tmp_path / "data"),
        **fake.settings,
    }
    command = [sys.executable, "-m", "fileloft_fast"]
    ended = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    wanted = "FILELOFT_BACKEND=gcs needs an extra: pip install 'fileloft-fast[gcs]'"
    assert ended.stderr == f"fileloft-fast: {wanted}\n"


def test_nothing_arrives_after_a_client_that_is_back_was_told_the_offset(
    fake: GcsFake, tmp_path: Path
) -> None:
    with serving(fake, tmp_path, PART_SIZE="256K") as endpoint:
        fake.fail("part", times=10_000)
        upload = endpoint.create(len(BIG))
        with endpoint.connect(30) as wire:
            begun = endpoint.render_append(upload, 0, BIG)
            assert wire.send_pieces([begun[:2_000_000]]) == 2_000_000
            eventually(lambda: endpoint.data_file(upload).stat().st_size == 3 * 2**18)
            wire.half_close()  # and is gone; the rest waits in the socket until there is room
            offset = endpoint.offset(upload)
            fake.heal()
            eventually(lambda: "part" in fake.asked)
            answer = endpoint.append(upload, offset, BIG[offset:])
        assert (answer.status, offset) == (204, 3 * 2**18)
        assert get(endpoint, upload).body == BIG


def test_a_spool_is_not_taken_for_a_data_directory(fake: GcsFake, tmp_path: Path) -> None:
    with serving(fake, tmp_path, PART_SIZE="256K") as endpoint:
        upload = endpoint.create_holding(BIG[:1_000_000], len(BIG))
        eventually(lambda: list(tmp_path.glob("*.journal")))
    env = {"PATH": "/usr/bin:/bin", "FILELOFT_DATA_DIR": str(tmp_path)}
    for settings in ({}, {**fake.settings, "FILELOFT_ACK": "chunk"}):
        command = [sys.executable, "-m", "fileloft_fast"]
        ended = subprocess.run(
            command, env=env | settings, capture_output=True, text=True, timeout=30, check=False
        )
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1].startswith("fileloft-fast: FILELOFT_DATA_DIR: ")
    with serving(fake, tmp_path, PART_SIZE="256K") as endpoint:
        assert endpoint.append(upload, 1_000_000, BIG[1_000_000:]).status == 204
        assert get(endpoint, upload).body == BIG
