"""What only a bucket does to a storage: it goes away, and others work on it too."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.deadline import eventually
from tests.proxy import UNHARMED, Course, End, Fate, Proxy
from tests.server import Server
from tests.storages.app_server import KEY, AppServer, Told
from tests.storages.conftest import PART_BYTES, bucket_settings
from tests.stores.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.clouds import S3Cloud

SMALL: Final = os.urandom(100_000)
LARGE: Final = os.urandom(2 * PART_BYTES + 1)
SIZES: Final = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


@pytest.fixture
def way(bucket: S3Cloud) -> Iterator[Proxy]:
    """Return a way to the bucket that can be closed."""
    with Proxy(_address(bucket)) as proxy:
        yield proxy


@contextmanager
def served(data: Path, bucket: S3Cloud, way: Proxy, **settings: str) -> Iterator[AppServer]:
    url = f"http://127.0.0.1:{way.address[1]}"
    chosen = {f"FILELOFT_{name}": value for name, value in settings.items()}
    server = Server(data, {**bucket_settings(bucket, url), **chosen})
    try:
        yield AppServer(server)
    finally:
        server.kill()


@contextmanager
def closed(way: Proxy, bucket: S3Cloud) -> Iterator[None]:
    """Let nobody through."""
    with socket.socket() as nobody:  # a port that stays free
        nobody.bind(("127.0.0.1", 0))
        way.target = nobody.getsockname()
        way.reset_all()
        yield
    way.target = _address(bucket)


def _address(bucket: S3Cloud) -> tuple[str, int]:
    return "127.0.0.1", urlsplit(bucket.url).port or 0


def staged(data: Path) -> list[str]:
    """Return the files of uploads in the folder of the public storage."""
    names = os.listdir(data / "storages" / "public")  # noqa: PTH208 - names are all we want
    return [name for name in names if len(name.partition(".")[0]) == 32]


@SIZES
def test_an_object_lies_in_the_bucket_at_prefix_and_path(
    bucket: S3Cloud, bucket_app: AppServer, content: bytes
) -> None:
    path = f"a/{uuid4().hex}"
    bucket_app.store(path, content, Content_Type="image/png")
    kept = bucket.look(f"public/{path}")
    assert kept is not None
    assert (kept.content, kept.kind) == (content, "image/png")
    assert not bucket.sessions()
    assert not staged(bucket_app.server.data)
    assert bucket_app.call("DELETE", f"/v1/objects/public/{path}").status == 204
    assert bucket.look(f"public/{path}") is None


def test_objects_of_others_are_served_where_their_keys_are_paths(
    bucket: S3Cloud, bucket_app: AppServer
) -> None:
    folder = uuid4().hex
    for name in ("a", "not-strict", "not a path", "b/c"):
        bucket.put(f"public/{folder}/{name}", b"theirs")
    assert bucket_app.retrieve(f"{folder}/b/c") == b"theirs"
    assert bucket_app.paths(prefix=folder) == [f"{folder}/a", f"{folder}/b/c"]


@SIZES
def test_while_the_bucket_is_away_nothing_that_waits_is_lost(
    tmp_path: Path, bucket: S3Cloud, way: Proxy, content: bytes
) -> None:
    path = uuid4().hex
    target = f"/v1/objects/public/{path}"
    with served(tmp_path, bucket, way, FLUSH_TIMEOUT="1") as app:
        with closed(way, bucket):
            assert app.upload(app.ticket(path, max_size=0), content).status == 204
            for told in (
                verify(app, path),
                app.store(path, content),
                app.call("GET", target),
                app.call("DELETE", target.replace(path, uuid4().hex)),
                app.call("GET", "/v1/objects/public"),
            ):
                assert told.status == 503
                assert int(told.fields["retry-after"]) > 0
        eventually(lambda: is_verified(app, path))
        assert app.retrieve(path) == content
        eventually(lambda: not staged(tmp_path))
    assert not bucket.sessions()


def test_a_crash_while_an_object_leaves_loses_nothing(
    tmp_path: Path, bucket: S3Cloud, way: Proxy
) -> None:
    path = uuid4().hex
    with served(tmp_path, bucket, way) as app:
        assert app.upload(app.ticket(path, max_size=0, overwrite=False), LARGE).status == 204
        way.otherwise = Fate(up=Course(after=PART_BYTES // 2, end=End.STALL))
        verifying = threading.Thread(target=verify_in_vain, args=(app, path))
        verifying.start()
        eventually(lambda: way.passed_up >= PART_BYTES // 2)
        app.server.kill()
        verifying.join()
    way.otherwise = UNHARMED
    assert bucket.look(f"public/{path}") is None
    with served(tmp_path, bucket, way) as app:
        assert not app.exists(path)
        assert app.verify(path)
        assert app.retrieve(path) == LARGE


def verify(app: AppServer, path: str) -> Told:
    return app.call("POST", "/v1/verify", {"storage": "public", "path": path})


def is_verified(app: AppServer, path: str) -> bool:
    told = verify(app, path)
    assert told.status in {200, 503}  # a slow machine may take longer than the server waits
    return told.status == 200 and bool(told.json["verified"])


def verify_in_vain(app: AppServer, path: str) -> None:
    with pytest.raises((HTTPException, ConnectionError)):
        verify(app, path)


def test_storages_that_are_reached_alike_share_a_client(
    tmp_path: Path, bucket: S3Cloud, way: Proxy
) -> None:
    with served(tmp_path, bucket, way) as app:
        for storage in ("public", "private", "other"):
            assert app.paths(storage) is not None
        assert way.accepted == 1


def test_a_bucket_has_its_own_keys_where_the_file_says_so(tmp_path: Path, bucket: S3Cloud) -> None:
    file = tmp_path / "storages.toml"
    file.write_text(
        f"""
        [storages.public]
        backend = "s3"
        bucket = "{bucket.bucket}"
        prefix = "by-file/"
        endpoint = "{bucket.url}"
        region = "{REGION}"
        path_style = true
        access_key = "{ACCESS_KEY}"
        secret_key = "{SECRET_KEY}"
        """
    )
    settings = {"FILELOFT_STORAGES_FILE": str(file), "FILELOFT_STORAGE_KEYS": KEY}
    with Server(tmp_path / "data", settings) as server:
        app = AppServer(server)
        path = uuid4().hex
        assert app.store(path, SMALL).status == 200
        assert app.retrieve(path) == SMALL
    assert bucket.look(f"by-file/{path}") is not None
