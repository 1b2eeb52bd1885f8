"""AWS Signature Version 4: whether a request is signed with one of our keys, and for what.

In the header ``Authorization`` or in the query (a presigned URL). Whatever is wrong is an S3Error
with the code that S3 gives it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from fileloft_fast.s3front.canonical import TOKEN_FIELD, canonical_requests
from fileloft_fast.s3front.claim import (
    ALGORITHM,
    PAYLOAD_FIELD,
    Claim,
    parse_claim,
    parse_timestamp,
)
from fileloft_fast.s3front.codes import (
    AccessDeniedError,
    InvalidAccessKeyIdError,
    InvalidTokenError,
    RequestTimeTooSkewedError,
    SignatureDoesNotMatchError,
)
from fileloft_fast.s3front.target import Parameters, parse_query, render_query

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead

MAX_SKEW_S: Final = 15 * 60


@dataclass(frozen=True, slots=True)
class Chain:
    """What the signatures of chunks are calculated with, and the one that the first follows."""

    key: bytes = field(repr=False)
    timestamp: str
    scope: str
    seed: str


@dataclass(frozen=True, slots=True)
class Signed:
    """What a verified signature says.

    ``payload`` is ``x-amz-content-sha256``: the hash that the body must have, UNSIGNED-PAYLOAD, or
    one of STREAMING_PAYLOADS. ``parameters`` are those of the query that are not the signature's.
    """

    access_key: str
    payload: str
    parameters: Parameters
    chain: Chain


def carries_signature(head: RequestHead) -> bool:
    """Return whether *head* is an S3 client's: it is signed, well or badly."""
    return (
        head.headers.get("authorization", "").startswith("AWS")
        or "X-Amz-Algorithm=" in head.query
        or "X-Amz-Signature=" in head.query
    )


def verify(
    head: RequestHead, secrets: Mapping[str, str], now_s: float, hosts: Iterable[str] = ()
) -> Signed:
    """Return what the signature of *head* says; *secrets* are the secret keys by access key.

    *hosts* are the names that the operator says this server is reached by, besides ``Host``, which
    a proxy may have changed. Raises S3Error.
    """
    parameters = parse_query(head.query)
    claim = parse_claim(head, parameters)
    secret = secrets.get(claim.scope.access_key)
    if secret is None:
        raise InvalidAccessKeyIdError(AWSAccessKeyId=claim.scope.access_key)
    _check_time(claim, now_s)
    _check_headers(head, claim)
    parameters = [pair for pair in parameters if pair[0] != "X-Amz-Signature"]
    key = signing_key(secret, claim.scope.date, claim.scope.region)
    requests = [*canonical_requests(head, claim, render_query(parameters), hosts)]
    if not any(is_signature(key, _signed_text(claim, text), claim.signature) for text in requests):
        raise SignatureDoesNotMatchError(
            AWSAccessKeyId=claim.scope.access_key,
            StringToSign=_signed_text(claim, requests[0]),
            SignatureProvided=claim.signature,
            CanonicalRequest=requests[0].decode("latin-1"),
        )
    own = [pair for pair in parameters if not pair[0].startswith("X-Amz-")]
    chain = Chain(key, claim.timestamp, claim.scope.text, claim.signature)
    return Signed(claim.scope.access_key, claim.payload, own, chain)


def _signed_text(claim: Claim, request: bytes) -> str:
    return f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope.text}\n{sha256(request).hexdigest()}"


@lru_cache(maxsize=64)
def signing_key(secret: str, date: str, region: str) -> bytes:
    """Return the key that requests of a day and region are signed with."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def is_signature(key: bytes, text: str, signature: str) -> bool:
    """Return whether *signature* is that of *text*; its time does not tell how near it is."""
    right = hmac.digest(key, text.encode(), "sha256").hex()
    return hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace"))


def render_time(seconds: float) -> str:
    """Return a time as S3's documents have it."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%S}.000Z"


def _check_time(claim: Claim, now_s: float) -> None:
    signed_s = parse_timestamp(claim.timestamp) or 0
    if claim.expires_s is None:
        if abs(now_s - signed_s) > MAX_SKEW_S:
            raise RequestTimeTooSkewedError(
                RequestTime=claim.timestamp,
                ServerTime=render_time(now_s),
                MaxAllowedSkewMilliseconds=str(MAX_SKEW_S * 1000),
            )
    elif signed_s > now_s + MAX_SKEW_S:
        raise AccessDeniedError("Request is not yet valid.", ServerTime=render_time(now_s))
    elif now_s > signed_s + claim.expires_s:
        raise AccessDeniedError(
            "Request has expired.",
            Expires=render_time(signed_s + claim.expires_s),
            ServerTime=render_time(now_s),
        )


def _check_headers(head: RequestHead, claim: Claim) -> None:
    """Refuse what could change the meaning of the request and is not signed."""
    # The payload stands in the signed text in any case; the date of a header claim does as well.
    covered = {PAYLOAD_FIELD, *claim.signed_headers}
    if claim.expires_s is None:
        covered.add("x-amz-date")
    loose = sorted(
        name for name in head.headers if name.startswith("x-amz-") and name not in covered
    )
    if loose:
        raise AccessDeniedError(
            "There were headers present in the request which were not signed.",
            HeadersNotSigned=", ".join(loose),
        )
    if head.headers.get(TOKEN_FIELD):
        raise InvalidTokenError
