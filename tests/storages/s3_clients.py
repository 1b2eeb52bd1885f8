"""Clients of the S3 front: boto3 with the keys of a server, and the server that takes them."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.storages.app_server import KEY
from tests.storages.dart import Bucket
from tests.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server import Server
    from tests.wire import Answer

ACCESS_KEY: Final = "AKFRONT"
SECRET_KEY: Final = "a secret key".replace(" ", "-")
REGION: Final = "us-east-1"
S3_SETTINGS: Final = {
    "FILELOFT_STORAGES": "public=?public=1,private=?paths=relaxed,small=?max_size=1000",
    "FILELOFT_STORAGE_KEYS": KEY,
    "FILELOFT_S3_FRONT_ACCESS_KEY": ACCESS_KEY,
    "FILELOFT_S3_FRONT_SECRET_KEY": SECRET_KEY,
    "FILELOFT_SWEEP_INTERVAL": "0.3",
}


def url_of(server: Server) -> str:
    """Return where S3 clients find *server*."""
    host, port = server.address
    return f"http://{host}:{port}"


def bucket_of(server: Server) -> Bucket:
    """Return a storage of *server* as what is built from the Dart clients' rules knows it."""
    host, port = server.address
    return Bucket(
        name="public",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        at=time.time(),
        host=host,
        port=port,
    )


def ask(server: Server, request: bytes) -> Answer:
    """Send one request as it is, and return the answer."""
    with Wire(server.address) as wire:
        wire.send(request)
        return wire.read(head=request.startswith(b"HEAD "))


@contextmanager
def boto(
    server: Server, *, url: str = "", verify: str = "", secret_key: str = SECRET_KEY
) -> Iterator[Any]:
    """Lend a client of boto3; *verify* is the authority that it trusts."""
    client = boto3.client(
        "s3",
        endpoint_url=url or url_of(server),
        verify=verify or None,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=secret_key,
        region_name=REGION,
        config=Config(signature_version="s3v4", retries={"total_max_attempts": 1}),
    )
    try:
        yield client
    finally:
        client.close()


def refused(call: Callable[[], object]) -> tuple[int, str]:
    """Return status and code with which *call* is refused."""
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    raise AssertionError("nothing was refused")
