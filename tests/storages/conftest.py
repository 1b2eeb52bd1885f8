"""Servers with named storages, in folders and in a bucket; one of each for the whole session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from tests.server import Server
from tests.storages.app_server import KEY, AppServer
from tests.storages.s3_clients import S3_SETTINGS, boto
from tests.stores.clouds import S3Cloud
from tests.stores.seaweedfs import KEYS, REGION

OPTIONS: Final = {"public": "public=1", "private": "paths=relaxed&max_size=1M", "other": ""}
PART_BYTES: Final = 5 * 1024 * 1024


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Cloud]:
    """Return an S3 server with one bucket."""
    with S3Cloud(tmp_path_factory.mktemp("weed")) as cloud:
        yield cloud


def folder_settings() -> Mapping[str, str]:
    """Return the settings of a server whose storages are folders."""
    return _settings(lambda _: "")


def bucket_settings(cloud: S3Cloud, url: str = "") -> Mapping[str, str]:
    """Return those of one whose storages are in the bucket of *cloud*, reached at *url*."""
    place = f"endpoint={url or cloud.url}&region={REGION}&path_style=1&"
    return {
        **_settings(lambda name: f"s3://{cloud.bucket}/{name}/?{place}"),
        **KEYS,
        "FILELOFT_PART_SIZE": str(PART_BYTES),
    }


def _settings(place: Callable[[str], str]) -> dict[str, str]:
    declared = [f"{name}={place(name) or '?'}{options}" for name, options in OPTIONS.items()]
    return {
        "FILELOFT_STORAGES": ",".join(each.rstrip("?&=") for each in declared),
        "FILELOFT_STORAGE_KEYS": f"{KEY},another key that is good: {'x' * 32}",
        "FILELOFT_SWEEP_INTERVAL": "0.3",
    }


@pytest.fixture(scope="session", params=["fs", "s3"])
def storage_settings(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Return the settings of a server with storages, of either kind."""
    if request.param == "fs":
        return folder_settings()
    return bucket_settings(request.getfixturevalue("bucket"))


@pytest.fixture(scope="session")
def storage_server(
    storage_settings: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Return a server with the storages of ``OPTIONS``, of either kind."""
    with Server(tmp_path_factory.mktemp("data"), storage_settings) as server:
        yield server


@pytest.fixture(scope="session")
def folder_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with the storages of ``OPTIONS`` in folders, where the kind says nothing."""
    with Server(tmp_path_factory.mktemp("data"), folder_settings()) as server:
        yield server


@pytest.fixture
def app(storage_server: Server) -> AppServer:
    """Return an app server that uses storages of either kind."""
    return AppServer(storage_server)


@pytest.fixture(scope="session")
def bucket_app(bucket: S3Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """Return an app server that uses storages in the bucket."""
    with Server(tmp_path_factory.mktemp("data"), bucket_settings(bucket)) as server:
        yield AppServer(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server with an S3 front, for one file alone."""
    with Server(tmp_path_factory.mktemp("data"), S3_SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def s3(server: Server) -> Iterator[Any]:
    """Return a client of boto3 of that server."""
    with boto(server) as client:
        yield client
