"""What Serverpod and the RustFS package sign is verified, their habits included."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from msgspec import structs

from fileloft_fast.model import RequestHead
from fileloft_fast.s3front.codes import S3Error, SignatureDoesNotMatchError
from fileloft_fast.s3front.policy import verify_form
from fileloft_fast.s3front.signature import verify
from tests.storages import dart
from tests.storages.dart import Bucket
from tests.unit.s3front.signing import ACCESS_KEY, SECRET_KEY, SECRETS, by_header, presigned

NOW = 1_770_000_000
KEY = "profile/1/avatar.png"


def bucket(port: int = 9000, **how: str) -> Bucket:
    return Bucket(
        name="public",
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        at=NOW,
        port=port,
        region=how.get("region", "us-west-2"),
    )


def head_of(request: bytes) -> RequestHead:
    """Return the head of a request as http1 reads it."""
    lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    path, _, query = target.partition("?")
    fields = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])
    }
    return RequestHead(method, path, fields, query=query)


@pytest.mark.parametrize("port", [80, 443, 9000])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_serverpods_signed_requests_are_verified(method: str, port: int) -> None:
    head = head_of(dart.signed(bucket(port), method, KEY))
    assert verify(head, SECRETS, NOW).payload == dart.EMPTY_HASH


@pytest.mark.parametrize("port", [80, 9000])
@pytest.mark.parametrize("length", [None, 4])
@pytest.mark.parametrize("once", [False, True])
def test_serverpods_presigned_put_is_verified_although_the_port_is_not_signed(
    *, port: int, length: int | None, once: bool
) -> None:
    form = dart.binary(bucket(port), KEY, length=length, prevent_overwrite=once)
    head = head_of(dart.upload(form, b"data", length_known=length is not None))
    signed = verify(head, SECRETS, NOW)
    assert (signed.payload, signed.parameters) == ("UNSIGNED-PAYLOAD", [])


@pytest.mark.parametrize("once", [False, True])
def test_serverpods_store_is_verified(*, once: bool) -> None:
    head = head_of(dart.serverpod_store(bucket(), KEY, b"data", prevent_overwrite=once))
    assert verify(head, SECRETS, NOW).payload == hashlib.sha256(b"data").hexdigest()


@pytest.mark.parametrize("key", ["a", "a/b", KEY])
def test_the_rustfs_packages_get_is_verified_although_it_signs_other_slashes(key: str) -> None:
    head = head_of(dart.rustfs_get(bucket(), key))
    assert verify(head, SECRETS, NOW + 6 * 24 * 3600).payload == "UNSIGNED-PAYLOAD"


def test_the_rustfs_packages_delete_is_verified_although_it_sends_no_token() -> None:
    signed = verify(head_of(dart.rustfs_delete(bucket(), KEY)), SECRETS, NOW)
    assert signed.payload == dart.EMPTY_HASH


# -- no habit grants what was not signed ----------------------------------------------------------


def test_other_slashes_sign_no_other_key_and_no_other_bucket() -> None:
    head = head_of(dart.rustfs_get(bucket(), KEY))
    for path in (
        "/public/profile/1",
        "/public/profile/1/avatar/png",
        "/other/profile/1/avatar.png",
    ):
        with pytest.raises(SignatureDoesNotMatchError):
            verify(structs.replace(head, path=path), SECRETS, NOW)
    # what was signed with %2F between bucket and key names another bucket
    whole = dart.rustfs_get(replace(bucket(), name="public/profile"), "1")
    with pytest.raises(SignatureDoesNotMatchError):
        verify(structs.replace(head_of(whole), path="/public%2Fprofile/2"), SECRETS, NOW)


def test_other_slashes_are_not_accepted_in_a_header() -> None:
    head = by_header("GET", f"http://127.0.0.1:9000/public/{quote(KEY, safe='')}")
    with pytest.raises(S3Error):
        verify(structs.replace(head, path=f"/public/{KEY}x"), SECRETS, NOW)


def test_a_token_may_be_missing_in_a_delete_alone_and_only_the_token() -> None:
    head = head_of(dart.rustfs_delete(bucket(), KEY))
    for method in ("GET", "PUT"):
        with pytest.raises(SignatureDoesNotMatchError, match="not sent"):
            verify(structs.replace(head, method=method), SECRETS, NOW)
    dated = {name: value for name, value in head.headers.items() if name != "x-amz-content-sha256"}
    with pytest.raises(S3Error):
        verify(structs.replace(head, headers=dated), SECRETS, NOW)
    with pytest.raises(S3Error):
        verify(
            structs.replace(head, headers={**head.headers, "x-amz-security-token": "x"}),
            SECRETS,
            NOW,
        )


def test_a_port_may_be_missing_in_a_put_alone_and_no_other_host_is_taken_for_it() -> None:
    put = head_of(dart.upload(dart.binary(bucket(), KEY), b"data"))
    other = structs.replace(put, headers={**put.headers, "host": "127.0.0.2:9000"})
    with pytest.raises(SignatureDoesNotMatchError):
        verify(other, SECRETS, NOW)
    get = presigned("GET", "http://127.0.0.1/public/a", expires=60)
    with pytest.raises(S3Error):
        verify(structs.replace(get, headers={"host": "127.0.0.1:9000"}), SECRETS, NOW)


# -- forms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [dart.multipart, dart.rustfs_multipart])
def test_the_forms_of_both_are_verified(make: Callable[[Bucket, str], dart.Description]) -> None:
    form = make(bucket(), KEY)
    sent = verify_form(form["request-fields"].items(), "public", SECRETS, NOW)
    assert (sent.key, sent.smallest, sent.largest) == (KEY, 1, 10 * dart.MIB)
    assert (sent.status, sent.content_type, sent.access_key) == (204, "", ACCESS_KEY)
