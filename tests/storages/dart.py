"""What Serverpod and its RustFS package send, byte for byte, built from their rules.

Not from their code: from what serverpod_cloud_storage_s3_compat and serverpod_client 4.0.0-beta.4,
the RustFS package of 2025-12 and dart-lang/http put on the wire. dart:io keeps the fields of a head
in a hash map, so that their order says nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote, urlsplit

MIB: Final = 1024 * 1024
EMPTY_HASH: Final = hashlib.sha256(b"").hexdigest()
BOUNDARY: Final = "dart-http-boundary-" + "+_-.019AZaz" * 4 + "Nb8qKp7"
"""70 characters in all, of those that dart-lang/http draws from."""
TYPES: Final = {".png": "image/png", ".jpg": "image/jpeg", ".txt": "text/plain"}

Description = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket as an app server is configured with it.

    ``at`` is the app server's clock, in seconds since the epoch.
    """

    name: str
    access_key: str
    secret_key: str
    at: float
    host: str = "127.0.0.1"
    port: int = 80
    scheme: str = "http"
    region: str = "us-west-2"
    public: bool = True

    @property
    def url(self) -> str:
        """The URL of the bucket, as CustomEndpointConfig builds it."""
        return f"{self.scheme}://{self.authority}/{self.name}"

    @property
    def authority(self) -> str:
        """The host, and the port where it is not the scheme's."""
        return self.host if self.port in {80, 443} else f"{self.host}:{self.port}"

    @property
    def datetime(self) -> str:
        """The clock as SigV4 writes it."""
        return f"{datetime.fromtimestamp(self.at, UTC):%Y%m%dT%H%M%SZ}"

    @property
    def scope(self) -> str:
        """The scope of a credential."""
        return f"{self.datetime[:8]}/{self.region}/s3/aws4_request"

    @property
    def key(self) -> bytes:
        """The key that signs in this scope."""
        key = f"AWS4{self.secret_key}".encode()
        for part in self.scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def signature(self, text: str) -> str:
        """Return the signature of *text*: a string to sign, or a policy in base64."""
        return hmac.digest(self.key, text.encode(), "sha256").hex()

    def signature_of(self, request: str) -> str:
        """Return the signature of a canonical request."""
        digest = hashlib.sha256(request.encode()).hexdigest()
        return self.signature(f"AWS4-HMAC-SHA256\n{self.datetime}\n{self.scope}\n{digest}")


# -- descriptions: what the app server hands to its client ------------------------------------


def multipart(
    bucket: Bucket, path: str, *, expires_s: int = 600, max_size: int = 10 * MIB
) -> Description:
    """Return Serverpod's description of a POST with a policy."""
    ends = datetime.fromtimestamp(bucket.at + expires_s, UTC)
    return _multipart(bucket, path, f"{ends:%Y-%m-%dT%H:%M:%S}.000Z", max_size)


def rustfs_multipart(
    bucket: Bucket, path: str, *, expires_s: int = 600, max_size: int = 10 * MIB
) -> Description:
    """Return the RustFS package's: the expiration has microseconds."""
    ends = datetime.fromtimestamp(bucket.at + expires_s, UTC)
    return _multipart(bucket, path, f"{ends:%Y-%m-%dT%H:%M:%S.%f}Z", max_size)


def _multipart(bucket: Bucket, path: str, expiration: str, max_size: int) -> Description:
    acl = "public-read" if bucket.public else "private"
    credential = f"{bucket.access_key}/{bucket.scope}"
    text = f"""\
{{ "expiration": "{expiration}",
  "conditions": [
    {{"bucket": "{bucket.name}"}},
    ["starts-with", "$key", "{path}"],
    {{"acl": "{acl}"}},
    ["content-length-range", 1, {max_size}],
    {{"x-amz-credential": "{credential}"}},
    {{"x-amz-algorithm": "AWS4-HMAC-SHA256"}},
    {{"x-amz-date": "{bucket.datetime}" }}
  ]
}}
"""
    policy = base64.b64encode(text.encode()).decode()
    return {
        "url": bucket.url,
        "type": "multipart",
        "field": "file",
        "file-name": PurePosixPath(path).name,
        "request-fields": {
            "key": path,
            "acl": acl,
            "X-Amz-Credential": credential,
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Date": bucket.datetime,
            "Policy": policy,
            "X-Amz-Signature": bucket.signature(policy),
        },
    }


def binary(
    bucket: Bucket,
    path: str,
    *,
    expires_s: int = 600,
    length: int | None = None,
    prevent_overwrite: bool = False,
) -> Description:
    """Return Serverpod's description of a presigned PUT; the port is not signed."""
    file_name = PurePosixPath(path).name
    headers = {"Content-Type": TYPES.get(PurePosixPath(path).suffix, "application/octet-stream")}
    if length is not None:
        headers["Content-Length"] = str(length)
    if prevent_overwrite:
        headers["If-None-Match"] = "*"
    signed = {"host": bucket.host} | {name.lower(): value for name, value in headers.items()}
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{bucket.access_key}/{bucket.scope}",
        "X-Amz-Date": bucket.datetime,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": ";".join(sorted(signed)),
    }
    request = canonical(
        "PUT", f"/{bucket.name}/{_component(path, '/')}", query, signed, "UNSIGNED-PAYLOAD"
    )
    query["X-Amz-Signature"] = bucket.signature_of(request)
    return {
        "url": f"{bucket.url}/{path}?{_query(query)}",
        "type": "binary",
        "method": "PUT",
        "file-name": file_name,
        "headers": headers,
    }


# -- what the app server sends itself -----------------------------------------------------------


def signed(bucket: Bucket, method: str, key: str) -> bytes:
    """Return what Serverpod's S3Client sends for GET, HEAD and DELETE of an object."""
    fields = {
        "host": bucket.authority,
        "x-amz-content-sha256": EMPTY_HASH,
        "x-amz-date": bucket.datetime,
    }
    return _by_header(bucket, method, key, fields, {})


def rustfs_delete(bucket: Bucket, key: str) -> bytes:
    """Return the RustFS package's DELETE: it signs an empty token that it does not send."""
    fields = {
        "host": bucket.authority,
        "x-amz-content-sha256": EMPTY_HASH,
        "x-amz-date": bucket.datetime,
    }
    return _by_header(bucket, "DELETE", key, fields, {"x-amz-security-token": ""})


def _by_header(
    bucket: Bucket, method: str, key: str, sent: Mapping[str, str], unsent: Mapping[str, str]
) -> bytes:
    path = f"/{bucket.name}/{_component(key, '/')}"
    names = ";".join(sorted({**sent, **unsent}))
    request = canonical(method, path, {}, {**sent, **unsent}, EMPTY_HASH)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={bucket.access_key}/{bucket.scope},"
        f"SignedHeaders={names},Signature={bucket.signature_of(request)}"
    )
    return render(method, path, {**sent, "authorization": authorization, "content-length": "0"})


def rustfs_get(bucket: Bucket, key: str) -> bytes:
    """Return what the RustFS package sends to retrieve an object, and to see whether it exists."""
    url = urlsplit(rustfs_url(bucket, key))
    fields = {"host": url.netloc, "content-length": "0"}
    return render("GET", f"{url.path}?{url.query}", fields)


def rustfs_url(bucket: Bucket, key: str) -> str:
    """Return a presigned URL of the RustFS package: a slash in the key is signed as %2F."""
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{bucket.access_key}/{bucket.scope}",
        "X-Amz-Date": bucket.datetime,
        "X-Amz-Expires": "604800",
        "X-Amz-SignedHeaders": "host",
    }
    path = f"/{bucket.name}/{_component(key)}"
    request = canonical("GET", path, query, {"host": bucket.authority}, "UNSIGNED-PAYLOAD")
    query["X-Amz-Signature"] = bucket.signature_of(request)
    return f"{bucket.url}/{key}?{_query(query)}"


def serverpod_store(
    bucket: Bucket, key: str, data: bytes, *, prevent_overwrite: bool = False
) -> bytes:
    """Return what storeFile sends with the PUT strategy: Host without the port, the body hashed."""
    digest = hashlib.sha256(data).hexdigest()
    fields = {"host": bucket.host, "x-amz-content-sha256": digest, "x-amz-date": bucket.datetime}
    if prevent_overwrite:
        fields["if-none-match"] = "*"
    path = f"/{bucket.name}/{_component(key, '/')}"
    request = canonical("PUT", path, {}, fields, digest)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={bucket.access_key}/{bucket.scope}, "
        f"SignedHeaders={';'.join(sorted(fields))}, Signature={bucket.signature_of(request)}"
    )
    fields |= {"authorization": authorization, "content-length": str(len(data))}
    return render("PUT", path, fields, data)


def canonical(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    payload: str,
) -> str:
    """Return a canonical request."""
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    names = ";".join(sorted(headers))
    ordered = "&".join(f"{name}={_component(query[name])}" for name in sorted(query))
    return f"{method}\n{path}\n{ordered}\n{lines}\n{names}\n{payload}"


def _component(text: str, safe: str = "") -> str:
    """Return *text* as Dart's Uri.encodeComponent has it, with *safe* left alone."""
    return quote(text, safe="-_.!~*'()" + safe)


def _query(query: Mapping[str, str]) -> str:
    """Return a query as Dart's Uri has it: Uri.encodeQueryComponent makes a space a plus."""
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query.items())


# -- the client: FileUploader ---------------------------------------------------------------------


def upload(description: str | Description, data: bytes, *, length_known: bool = True) -> bytes:
    """Return what FileUploader sends for a description, given the file's length or not."""
    form: Description = json.loads(description) if isinstance(description, str) else description
    url = urlsplit(form["url"])
    target = url.path + (f"?{url.query}" if url.query else "")
    if form["type"] == "multipart":
        body = form_body(form["request-fields"], form["field"], form["file-name"], data)
        fields = {
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
            "content-length": str(len(body)),
        }
        return render("POST", target, {"host": url.netloc, **fields}, body)
    fields = {"content-type": "application/octet-stream", "accept": "*/*"}
    fields |= {name.lower(): value for name, value in form.get("headers", {}).items()}
    if length_known:
        fields["content-length"] = str(len(data))
    else:
        fields["transfer-encoding"] = "chunked"
        data = (b"%X\r\n%b\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n"
    return render(form.get("method", "POST"), target, {"host": url.netloc, **fields}, data)


def form_body(fields: Mapping[str, str], field: str, file_name: str, data: bytes) -> bytes:
    """Return a MultipartRequest's body: all fields, then the file."""
    parts = b"".join(_field_part(name, value) for name, value in fields.items())
    head = (
        f"--{BOUNDARY}\r\ncontent-type: application/octet-stream\r\n"
        f'content-disposition: form-data; name="{_quoted(field)}"; '
        f'filename="{_quoted(file_name)}"\r\n\r\n'
    )
    return parts + head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()


def _field_part(name: str, value: str) -> bytes:
    head = f'content-disposition: form-data; name="{_quoted(name)}"\r\n'
    if not value.isascii():
        head += "content-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: binary\r\n"
    return f"--{BOUNDARY}\r\n{head}\r\n{value}\r\n".encode()


def _quoted(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "%0D%0A")
    return lines.replace('"', "%22")


def render(method: str, target: str, fields: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a request as dart:io writes it."""
    all_fields = {"user-agent": "Dart/3.10 (dart:io)", "accept-encoding": "gzip", **fields}
    lines = "".join(f"{name}: {value}\r\n" for name, value in all_fields.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body
