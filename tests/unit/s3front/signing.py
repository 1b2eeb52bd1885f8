"""Requests of an S3 client, signed by botocore: a second source for what a signature is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from fileloft_fast.model import RequestHead

ACCESS_KEY: Final = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY: Final = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECRETS: Final = {ACCESS_KEY: SECRET_KEY}
REGION: Final = "us-east-1"


def head_of(method: str, url: str, headers: Mapping[str, str]) -> RequestHead:
    """Return the request as http1 hands it on."""
    parts = urlsplit(url)
    fields = {name.lower(): str(value).strip(" \t") for name, value in headers.items()}
    fields.setdefault("host", parts.netloc)
    return RequestHead(method, parts.path or "/", fields, query=parts.query)


def by_header(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    body: bytes = b"",
    **how: Any,
) -> RequestHead:
    """Return a request that botocore signed in ``Authorization``."""
    return _signed(botocore.auth.S3SigV4Auth, method, url, headers or {}, body, **how)


def presigned(
    method: str, url: str, headers: Mapping[str, str] | None = None, **how: Any
) -> RequestHead:
    """Return a request whose URL botocore signed; ``expires`` in seconds."""
    return _signed(botocore.auth.S3SigV4QueryAuth, method, url, headers or {}, b"", **how)


def _signed(
    kind: Any,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    access_key: str = ACCESS_KEY,
    secret: str = SECRET_KEY,
    region: str = REGION,
    service: str = "s3",
    payload: str | None = None,
    **how: Any,
) -> RequestHead:
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers, data=body)
    auth = kind(botocore.credentials.Credentials(access_key, secret), service, region, **how)
    if payload is not None:
        auth.payload = lambda _: payload
    auth.add_auth(request)
    return head_of(method, request.url, dict(request.headers.items()))
