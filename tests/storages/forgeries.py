"""Requests to the S3 front that somebody has tampered with, and the code that refuses each.

Each is made of a request that the front serves, by a change that its signer has not signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.storages import dart, streams

if TYPE_CHECKING:
    from tests.storages.dart import Bucket

KEY: Final = "profile/1/avatar"
DATA: Final = b"data of the file"
DAY_S: Final = 24 * 3600


class Forgery(NamedTuple):
    """What is sent to a bucket, and how it is refused."""

    make: Callable[[Bucket], bytes]
    status: int
    code: str


def change(make: Callable[[Bucket], bytes], *pairs: tuple[str, str]) -> Callable[[Bucket], bytes]:
    """Return *make* with each first text of *pairs*, which must be there, replaced in the head."""

    def forge(bucket: Bucket) -> bytes:
        head, end, body = make(bucket).partition(b"\r\n\r\n")
        text = head.decode()
        for old, new in pairs:
            assert old in text, f"{old} is not in {text}"
            text = text.replace(old, new, 1)
        return text.encode() + end + body

    return forge


def at(make: Callable[[Bucket], bytes], offset_s: float) -> Callable[[Bucket], bytes]:
    """Return *make* with another clock."""
    return lambda bucket: make(replace(bucket, at=bucket.at + offset_s))


def by(make: Callable[[Bucket], bytes], **fields: str) -> Callable[[Bucket], bytes]:
    """Return *make* for a bucket that is configured otherwise."""
    return lambda bucket: make(replace(bucket, **fields))  # type: ignore[arg-type]


def get(bucket: Bucket) -> bytes:
    """Return a GET that is signed in its header."""
    return dart.signed(bucket, "GET", KEY)


def url(bucket: Bucket) -> bytes:
    """Return a GET of a presigned URL."""
    return dart.rustfs_get(bucket, KEY)


def delete(bucket: Bucket) -> bytes:
    """Return a DELETE that is signed in its header."""
    return dart.signed(bucket, "DELETE", KEY)


def put(bucket: Bucket) -> bytes:
    """Return a presigned PUT."""
    description = dart.binary(bucket, KEY, length=len(DATA), prevent_overwrite=True)
    return dart.upload(description, DATA)


def store(bucket: Bucket) -> bytes:
    """Return a PUT that is signed in its header, with the hash of its body."""
    return dart.serverpod_store(bucket, KEY, DATA)


def form(bucket: Bucket) -> bytes:
    """Return a POST form."""
    return dart.upload(dart.multipart(bucket, KEY, max_size=100), DATA)


def changed_form(
    name: str | None = None, value: str = "", *, data: bytes = DATA, offset_s: float = 0.0
) -> Callable[[Bucket], bytes]:
    """Return a form whose field *name* is another one, or whose file or clock is."""

    def forge(bucket: Bucket) -> bytes:
        description = dart.multipart(replace(bucket, at=bucket.at + offset_s), KEY, max_size=100)
        if name is not None:
            description["request-fields"][name] = value
        return dart.upload(description, data)

    return forge


def without(name: str) -> Callable[[Bucket], bytes]:
    """Return a form without a field."""

    def forge(bucket: Bucket) -> bytes:
        description = dart.multipart(bucket, KEY)
        del description["request-fields"][name]
        return dart.upload(description, DATA)

    return forge


def widened_form(bucket: Bucket) -> bytes:
    """Return a form whose policy allows more than was signed."""
    description = dart.multipart(bucket, KEY, max_size=4)
    fields = description["request-fields"]
    policy = json.loads(base64.b64decode(fields["Policy"]))
    policy["conditions"][3] = ["content-length-range", 1, 1_000_000]
    fields["Policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
    return dart.upload(description, DATA)


def form_to_another_bucket(bucket: Bucket) -> bytes:
    """Return a form to a bucket that its policy is not for."""
    description = dart.multipart(bucket, KEY)
    description["url"] = replace(bucket, name="private").url
    return dart.upload(description, DATA)


def with_another_body(bucket: Bucket) -> bytes:
    """Return a PUT with a body that has another hash."""
    return store(bucket)[: -len(DATA)] + DATA.upper()


def chunks(bucket: Bucket) -> bytes:
    """Return a PUT in signed chunks, with a signed trailer."""
    return streams.put(bucket, KEY, [DATA])


def changed_chunks(old: bytes, new: bytes, which: int = 1) -> Callable[[Bucket], bytes]:
    """Return a PUT in chunks whose body has *new* for the occurrence *which* of *old*."""

    def forge(bucket: Bucket) -> bytes:
        head, end, body = chunks(bucket).partition(b"\r\n\r\n")
        before = old.join(body.split(old)[:which])
        assert body.count(old) >= which
        forged = before + new + body[len(before) + len(old) :]
        # the length of the body is no part of what is forged
        size, new_size = (f"content-length: {len(each)}".encode() for each in (body, forged))
        return head.replace(size, new_size) + end + forged

    return forge


_MISMATCH: Final = (403, "SignatureDoesNotMatch")
_DENIED: Final = (403, "AccessDenied")
_TARGET: Final = f"/public/{KEY}"

FORGERIES: Final[dict[str, Forgery]] = {
    # the signature in the header
    "another secret": Forgery(by(get, secret_key="another secret"), *_MISMATCH),
    "another access key": Forgery(by(get, access_key="AKOTHER"), 403, "InvalidAccessKeyId"),
    "another method": Forgery(change(get, ("GET ", "HEAD ")), 403, ""),
    "a GET as DELETE": Forgery(change(get, ("GET ", "DELETE ")), *_MISMATCH),
    "another key": Forgery(change(get, ("/1/avatar", "/2/avatar")), *_MISMATCH),
    "another bucket": Forgery(change(get, ("/public/", "/private/")), *_MISMATCH),
    "a key that is encoded twice": Forgery(
        change(by(get, name="public"), (_TARGET, "/public/profile%252F1%252Favatar")), *_MISMATCH
    ),
    "a parameter more": Forgery(change(get, (_TARGET, f"{_TARGET}?versionId=1")), *_MISMATCH),
    "a parameter of another operation": Forgery(
        change(delete, (_TARGET, f"{_TARGET}?uploads")), *_MISMATCH
    ),
    "another signature": Forgery(change(get, ("Signature=", "Signature=0")), *_MISMATCH),
    "another region": Forgery(change(get, ("/us-west-2/", "/eu-west-1/")), *_MISMATCH),
    "another service": Forgery(
        change(get, ("/s3/aws4", "/ec2/aws4")), 400, "AuthorizationHeaderMalformed"
    ),
    "another end of the scope": Forgery(
        change(get, ("aws4_request", "aws4_other")), 400, "AuthorizationHeaderMalformed"
    ),
    "another algorithm": Forgery(
        change(get, ("AWS4-HMAC-SHA256 ", "AWS4-X ")), 400, "InvalidArgument"
    ),
    "Signature V2": Forgery(
        change(get, ("AWS4-HMAC-SHA256 ", "AWS AK:c2lnbmF0dXJl ")), 400, "InvalidArgument"
    ),
    "the past": Forgery(at(get, -16 * 60), 403, "RequestTimeTooSkewed"),
    "the future": Forgery(at(get, 16 * 60), 403, "RequestTimeTooSkewed"),
    "no date": Forgery(change(get, ("x-amz-date: ", "x-other: ")), *_DENIED),
    "no host among the signed": Forgery(
        change(get, ("SignedHeaders=host;", "SignedHeaders=")), 400, "AuthorizationHeaderMalformed"
    ),
    "a signed header left out": Forgery(
        change(get, ("SignedHeaders=host;", "SignedHeaders=host;range;")), *_MISMATCH
    ),
    "a header that is not signed": Forgery(
        change(delete, ("\r\nhost:", "\r\nx-amz-bypass-governance-retention: true\r\nhost:")),
        *_DENIED,
    ),
    "a token that is not signed": Forgery(
        change(get, ("\r\nhost:", "\r\nx-amz-security-token: x\r\nhost:")), *_DENIED
    ),
    "another hash of the payload": Forgery(
        change(get, ("x-amz-content-sha256: e3b0", "x-amz-content-sha256: e3b1")), *_MISMATCH
    ),
    "an unsigned payload": Forgery(
        change(
            store, ("x-amz-content-sha256: ", "x-amz-content-sha256: UNSIGNED-PAYLOAD\r\nx-y: ")
        ),
        *_MISMATCH,
    ),
    "another body": Forgery(with_another_body, 400, "XAmzContentSHA256Mismatch"),
    # the signature in the URL
    "a URL that has expired": Forgery(at(url, -8 * DAY_S), *_DENIED),
    "a URL of the future": Forgery(at(url, 16 * 60), *_DENIED),
    "a URL that lasts longer than a week": Forgery(
        change(url, ("Expires=604800", "Expires=604801")), 400, "AuthorizationQueryParametersError"
    ),
    "a URL that lasts longer than signed": Forgery(
        change(put, ("Expires=600", "Expires=6000")), *_MISMATCH
    ),
    "a URL of another service": Forgery(
        change(url, ("%2Fs3%2F", "%2Fec2%2F")), 400, "AuthorizationQueryParametersError"
    ),
    "a URL with half of a signature": Forgery(
        change(url, ("X-Amz-Date=", "X-Other=")), 400, "AuthorizationQueryParametersError"
    ),
    "a URL with two dates": Forgery(
        change(url, ("?", "?X-Amz-Date=20200101T000000Z&")),
        400,
        "AuthorizationQueryParametersError",
    ),
    "a URL for another key": Forgery(change(url, ("/1/avatar", "/2/avatar")), *_MISMATCH),
    "a URL for a key below another one": Forgery(change(url, ("avatar?", "avatar/2?")), *_MISMATCH),
    "a URL for GET as PUT": Forgery(change(url, ("GET ", "PUT ")), *_MISMATCH),
    "a URL and a header": Forgery(
        change(url, ("\r\nhost:", "\r\nauthorization: AWS4-HMAC-SHA256 x\r\nhost:")),
        400,
        "InvalidArgument",
    ),
    "a PUT of another type": Forgery(
        change(put, ("content-type: application/octet-stream", "content-type: text/html")),
        *_MISMATCH,
    ),
    "a PUT that overwrites": Forgery(change(put, ("\r\nif-none-match: *", "")), *_MISMATCH),
    "a PUT of another size": Forgery(
        lambda bucket: change(put, ("content-length: 16", "content-length: 17"))(bucket) + b"x",
        *_MISMATCH,
    ),
    # chunks
    "a chunk with another signature": Forgery(
        changed_chunks(b";chunk-signature=", b";chunk-signature=0", 2), 400, "InvalidRequest"
    ),
    "a chunk with another content": Forgery(changed_chunks(DATA, DATA.upper()), *_MISMATCH),
    "a chunk left out": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA, DATA], leave=1), *_MISMATCH
    ),
    "no last chunk": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA, DATA], leave=2), 400, "IncompleteBody"
    ),
    "chunks of another secret": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA], secret_key="another secret"), *_MISMATCH
    ),
    "chunks that are not signed": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA], body=streams.unsigned([DATA])),
        400,
        "InvalidRequest",
    ),
    "another trailer": Forgery(
        changed_chunks(b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32:AAAA"), *_MISMATCH
    ),
    "no signature of the trailer": Forgery(
        changed_chunks(b"x-amz-trailer-signature:", b"x-amz-checksum-sha1:"), 400, "IncompleteBody"
    ),
    "a trailer with another checksum": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA], checksum="AAAAAA=="), 400, "BadDigest"
    ),
    "more than the request says": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA], length=len(DATA) - 1), 400, "InvalidRequest"
    ),
    "less than the request says": Forgery(
        lambda bucket: streams.put(bucket, KEY, [DATA], length=len(DATA) + 1), 400, "IncompleteBody"
    ),
    # forms
    "a form with another secret": Forgery(by(form, secret_key="another secret"), *_MISMATCH),
    "a form with another access key": Forgery(
        by(form, access_key="AK2"), 403, "InvalidAccessKeyId"
    ),
    "a form with another policy": Forgery(widened_form, *_MISMATCH),
    "a form with a policy that is none": Forgery(changed_form("Policy", "e30="), *_MISMATCH),
    "a form that has expired": Forgery(changed_form(offset_s=-601), *_DENIED),
    "a form of the future": Forgery(changed_form(offset_s=16 * 60), *_DENIED),
    "a form for another key": Forgery(changed_form("key", "profile/2"), *_DENIED),
    "a form for another bucket": Forgery(form_to_another_bucket, *_DENIED),
    "a form with another acl": Forgery(changed_form("acl", "authenticated-read"), *_DENIED),
    "a form with a field more": Forgery(changed_form("Content-Type", "text/html"), *_DENIED),
    "a form with another date": Forgery(
        changed_form("X-Amz-Date", "20200101T000000Z"), 400, "InvalidArgument"
    ),
    "a form without a signature": Forgery(without("X-Amz-Signature"), 400, "InvalidArgument"),
    "a form without a policy": Forgery(without("Policy"), *_DENIED),
    "a form without a key": Forgery(without("key"), 400, "InvalidArgument"),
    "a form with a file that is too large": Forgery(
        changed_form(data=bytes(101)), 400, "EntityTooLarge"
    ),
    "a form with an empty file": Forgery(changed_form(data=b""), 400, "EntityTooSmall"),
}
