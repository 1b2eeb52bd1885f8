"""PUTs in signed chunks with a trailer, as SDKs of AWS send them over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fileloft_fast.s3front.signature import Chain
from tests.storages import dart
from tests.unit.s3front.streaming import crc32, signed_body, unsigned_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.storages.dart import Bucket

PAYLOAD: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
CHECKSUM: Final = "x-amz-checksum-crc32"


def put(
    bucket: Bucket,
    key: str,
    pieces: Sequence[bytes],
    *,
    length: int | None = None,
    field: str = CHECKSUM,
    checksum: str | None = None,
    secret_key: str | None = None,
    body: bytes | None = None,
    leave: int | None = None,
) -> bytes:
    """Return a PUT of *pieces*, a chunk each; else as it says it is.

    *length* is what it says of its content, *checksum* what its trailer *field* does; the chunks
    are signed with *secret_key*, or *body* is sent for them; *leave* is the number of a chunk to
    leave out.
    """
    content = b"".join(pieces)
    fields = {
        "content-encoding": "aws-chunked",
        "host": bucket.authority,
        "x-amz-content-sha256": PAYLOAD,
        "x-amz-date": bucket.datetime,
        "x-amz-decoded-content-length": str(len(content) if length is None else length),
        "x-amz-trailer": field,
    }
    path = f"/{bucket.name}/{key}"
    seed = bucket.signature_of(dart.canonical("PUT", path, {}, fields, PAYLOAD))
    names = ";".join(sorted(fields))
    fields["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={bucket.access_key}/{bucket.scope}, "
        f"SignedHeaders={names}, Signature={seed}"
    )
    signer = replace(bucket, secret_key=secret_key or bucket.secret_key)
    chain = Chain(signer.key, bucket.datetime, bucket.scope, seed)
    if body is None:
        body = signed_body(chain, pieces, [f"{field}:{checksum or crc32(content)}"])
    if leave is not None:
        body = _without(body, pieces, leave)
    fields["content-length"] = str(len(body))
    return dart.render("PUT", path, fields, body)


def unsigned(pieces: Sequence[bytes]) -> bytes:
    """Return a body whose chunks are not signed."""
    return unsigned_body(pieces, [f"{CHECKSUM}:{crc32(b''.join(pieces))}"])


def _without(body: bytes, pieces: Sequence[bytes], leave: int) -> bytes:
    starts = [0]
    for piece in pieces:
        starts.append(body.index(piece, starts[-1]) + len(piece) + 2)
    starts.append(len(body))
    return body[: starts[leave]] + body[starts[leave + 1] :]
