"""Serverpod's and the RustFS package's sessions, byte for byte, on the S3 front.

Description by the app server, upload by its client, verification, public URL, retrieval, deletion.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.storages import dart
from tests.storages.s3_clients import ask, bucket_of
from tests.wire import Wire, render_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.server import Server
    from tests.storages.dart import Bucket, Description


SIZES = [1, 5000, 3_000_000]
DATA = os.urandom(SIZES[-1])


@pytest.fixture
def bucket(server: Server) -> Bucket:
    return bucket_of(server)


def exists(server: Server, bucket: Bucket, key: str) -> bool:
    """Return what verifyDirectFileUpload and fileExists do: both packages' ways agree."""
    status = ask(server, dart.signed(bucket, "HEAD", key)).status
    other = ask(server, dart.rustfs_get(bucket, key)).status
    assert status == other
    assert status in {200, 404}
    return status == 200


UPLOADS: dict[str, Callable[[Bucket, str, bytes], bytes]] = {
    "form": lambda b, key, data: dart.upload(dart.multipart(b, key), data),
    "RustFS form": lambda b, key, data: dart.upload(dart.rustfs_multipart(b, key), data),
    "PUT": lambda b, key, data: dart.upload(dart.binary(b, key), data),
    "PUT of a known length": lambda b, key, data: dart.upload(
        dart.binary(b, key, length=len(data)), data
    ),
    "PUT without a length": lambda b, key, data: dart.upload(
        dart.binary(b, key), data, length_known=False
    ),
    "PUT of something new": lambda b, key, data: dart.upload(
        dart.binary(b, key, length=len(data), prevent_overwrite=True), data
    ),
    "store": dart.serverpod_store,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", UPLOADS)
def test_a_session_from_the_description_to_the_deletion(
    server: Server, bucket: Bucket, way: str, size: int
) -> None:
    key, data = f"profile/{size}/{way.replace(' ', '/')}", DATA[:size]
    assert not exists(server, bucket, key)
    uploaded = ask(server, UPLOADS[way](bucket, key, data))
    assert uploaded.status in ({204} if "form" in way else {200, 204}), uploaded
    assert exists(server, bucket, key)
    public = ask(server, render_request("GET", f"/public/{key}", {}))
    assert (public.status, public.body) == (200, data)
    assert public["Content-Type"] == "application/octet-stream"
    assert ask(server, dart.signed(bucket, "GET", key)).body == data
    assert ask(server, dart.rustfs_get(bucket, key)).body == data
    delete = dart.rustfs_delete(bucket, key) if "RustFS" in way else None
    assert ask(server, delete or dart.signed(bucket, "DELETE", key)).status == 204
    assert not exists(server, bucket, key)
    assert ask(server, dart.signed(bucket, "DELETE", key)).status in {204, 404}


def test_what_is_there_is_not_overwritten_where_that_is_prevented(
    server: Server, bucket: Bucket
) -> None:
    once = dart.upload(dart.binary(bucket, "once", length=4, prevent_overwrite=True), b"data")
    assert ask(server, once).status == 200
    assert ask(server, once).status == 412
    store = dart.serverpod_store(bucket, "once", b"other", prevent_overwrite=True)
    assert ask(server, store).status == 412
    assert ask(server, dart.signed(bucket, "GET", "once")).body == b"data"
    assert ask(server, dart.upload(dart.multipart(bucket, "once"), b"form")).status == 204
    assert ask(server, dart.signed(bucket, "GET", "once")).body == b"form"


def test_a_private_object_is_had_with_a_signature_alone(server: Server, bucket: Bucket) -> None:
    private = replace(bucket, name="private", public=False)
    key = "user-1/photo_1.png"
    assert ask(server, dart.upload(dart.multipart(private, key), b"data")).status == 204
    assert ask(server, render_request("GET", f"/private/{key}", {})).status == 403
    url = dart.rustfs_url(private, key).removeprefix(f"http://{private.authority}")
    assert ask(server, render_request("GET", url, {"Host": private.authority})).body == b"data"


@pytest.mark.parametrize("key", ["/a", "a//b", "a/../b", "a b", "ü", "a" * 1025, "", "a.png"])
def test_a_form_for_a_path_that_no_object_may_have_is_refused(
    server: Server, bucket: Bucket, key: str
) -> None:
    answer = ask(server, dart.upload(dart.multipart(bucket, key), b"data"))
    assert answer.status == 400, answer
    assert b"<Code>" in answer.body


def in_another_order(description: Description, data: bytes) -> bytes:
    """Return a form whose file comes first."""
    body = dart.form_body(description["request-fields"], "file", "f", data)
    begin = body.index(f"--{dart.BOUNDARY}\r\ncontent-type".encode())
    end = body.index(f"--{dart.BOUNDARY}--".encode())
    return dart.render(
        "POST",
        "/public",
        {
            "host": "h",
            "content-type": f"multipart/form-data; boundary={dart.BOUNDARY}",
            "content-length": str(len(body)),
        },
        body[begin:end] + body[:begin] + body[end:],
    )


def test_fields_after_the_file_are_ignored_as_s3_does(server: Server, bucket: Bucket) -> None:
    answer = ask(server, in_another_order(dart.multipart(bucket, "late"), b"data"))
    assert answer.status == 403
    assert not exists(server, bucket, "late")


def test_a_form_that_breaks_off_leaves_nothing(server: Server, bucket: Bucket) -> None:
    request = dart.upload(dart.multipart(bucket, "broken"), DATA)
    with Wire(server.address) as wire:
        wire.send(request[: len(request) // 2])
        wire.half_close()
        assert wire.read().status == 400
    assert not exists(server, bucket, "broken")


def test_a_form_may_come_byte_by_byte(server: Server, bucket: Bucket) -> None:
    request = dart.upload(dart.multipart(bucket, "slow"), b"data\r\n--dart")
    with Wire(server.address) as wire:
        for at in range(len(request)):
            wire.send(request[at : at + 1])
        assert wire.read().status == 204
    assert ask(server, dart.signed(bucket, "GET", "slow")).body == b"data\r\n--dart"
