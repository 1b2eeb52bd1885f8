"""``stored``: told when the object is there, in every mode, also by the process that comes next."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.hooks.listener import HookServer
from tests.server import Server
from tests.stores.clouds import CLOUDS, Cloud, key_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

LARGE: Final = random.Random("hooks").randbytes(11 * 1024 * 1024)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with CLOUDS["s3"](tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def listener() -> Iterator[HookServer]:
    with HookServer() as server:
        yield server


def settings(cloud: Cloud, listener: HookServer, ack: str) -> dict[str, str]:
    return {
        **cloud.settings,
        "FILELOFT_PART_SIZE": "5M",
        "FILELOFT_ACK": ack,
        "FILELOFT_ENABLE_CONCATENATION": "1",
        "FILELOFT_HOOKS_HTTP": listener.url,
        "FILELOFT_HOOKS_BACKOFF": "0.05",
    }


@pytest.mark.parametrize("ack", ["finish", "spool", "chunk"])
def test_stored_is_told_when_the_object_is_there(
    cloud: Cloud, listener: HookServer, tmp_path: Path, ack: str
) -> None:
    with Server(tmp_path, settings(cloud, listener, ack)) as server:
        tus = Endpoint(server)
        for content in (b"small", LARGE):
            upload = tus.create(len(content))
            with tus.connect(60) as wire:
                assert wire.ask(tus.render_append(upload, 0, content)).status == 204
            (told,) = listener.wait_for("stored", of=upload)
            kept = cloud.look(key_of(upload))
            assert kept is not None
            assert kept.content == content
            storage = told.upload["Storage"]
            assert storage["Type"] == "s3store"
            assert storage["Key"].endswith(upload.rsplit("/", 1)[1])
            assert storage["Bucket"]
            (finished,) = listener.wait_for("post-finish", of=upload)
            assert finished.upload["Storage"] == storage
            assert finished.key != told.key


def test_a_final_upload_that_the_store_has_joined_is_stored(
    cloud: Cloud, listener: HookServer, tmp_path: Path
) -> None:
    with Server(tmp_path, settings(cloud, listener, "finish")) as server:
        tus = Endpoint(server)
        parts = [tus.finish(LARGE[: 6 * 1024 * 1024], {"Upload-Concat": "partial"}) for _ in "ab"]
        with tus.connect(60) as wire:
            wire.send(
                (
                    f"POST /files/ HTTP/1.1\r\nHost: a\r\nTus-Resumable: 1.0.0\r\n"
                    f"Upload-Concat: final;{parts[0]} {parts[1]}\r\nContent-Length: 0\r\n\r\n"
                ).encode()
            )
            final = tus.path_of(wire.read())
        (told,) = listener.wait_for("stored", of=final)
        assert told.upload["IsFinal"] is True


def test_stored_is_told_by_the_process_that_comes_next(
    cloud: Cloud, listener: HookServer, tmp_path: Path
) -> None:
    chosen = settings(cloud, listener, "spool")
    server = Server(tmp_path, {**chosen, "FILELOFT_FLUSH_RATE": "64K"})
    tus = Endpoint(server)
    upload = tus.finish(LARGE)
    listener.wait_for("post-finish", of=upload)
    server.kill()
    with Server(tmp_path, chosen):
        (told,) = listener.wait_for("stored", of=upload)
        assert told.upload["Size"] == told.upload["Offset"] == len(LARGE)
        assert eventually(lambda: cloud.look(key_of(upload)))


def test_a_storage_path_needs_a_disk(cloud: Cloud, listener: HookServer, tmp_path: Path) -> None:
    listener.answers["pre-create"] = {"ChangeFileInfo": {"Storage": {"Path": "a/b.txt"}}}
    with Server(tmp_path, settings(cloud, listener, "finish")) as server:
        assert Endpoint(server).post({"Upload-Length": "5"}).status == 500
        server.wait_for_log("only with FILELOFT_BACKEND=fs")


def test_an_id_that_is_taken_in_the_bucket_is_refused(
    cloud: Cloud, listener: HookServer, tmp_path: Path
) -> None:
    listener.answers["pre-create"] = {"ChangeFileInfo": {"ID": "chosen-by-a-hook"}}
    with Server(tmp_path, settings(cloud, listener, "finish")) as server:
        tus = Endpoint(server)
        upload = tus.finish(b"first")
        eventually(lambda: not tus.info_file(upload).exists())
        assert tus.post({"Upload-Length": "5"}).status == 409
        kept = cloud.look(key_of(upload))
        assert kept is not None
        assert kept.content == b"first"
