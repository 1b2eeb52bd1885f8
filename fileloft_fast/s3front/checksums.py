"""The checksums that an S3 client sends with a body, or after it, and whether they hold."""

from __future__ import annotations

from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fileloft_fast.dataplane import digest_size
from fileloft_fast.s3front.claim import PAYLOAD_FIELD, STREAMING_PAYLOADS, UNSIGNED_PAYLOAD
from fileloft_fast.s3front.codes import (
    BadDigestError,
    InvalidDigestError,
    InvalidRequestError,
    MalformedTrailerError,
    NotImplementedS3Error,
    S3Error,
    XAmzContentSHA256MismatchError,
)

_PREFIX: Final = "x-amz-checksum-"
# Fields with the prefix that name no checksum.
_OTHERS: Final = frozenset({f"{_PREFIX}{name}" for name in ("algorithm", "mode", "type")})
ALGORITHMS: Final[Mapping[str, str]] = {
    f"{_PREFIX}{name}": name for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
}
"""The digest of each field that is known."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A checksum that a body must have; ``digest`` is None where it comes in the trailer."""

    field: str
    algorithm: str
    digest: bytes | None

    def check(self, digest: bytes, trailers: Mapping[str, str]) -> None:
        """Raise unless *digest* is the one that was sent."""
        right = self.digest
        if right is None:
            right = _decoded(trailers.get(self.field, ""), self.algorithm, MalformedTrailerError)
        if digest == right:
            return
        if self.field == PAYLOAD_FIELD:
            raise XAmzContentSHA256MismatchError(
                ClientComputedContentSHA256=right.hex(), S3ComputedContentSHA256=digest.hex()
            )
        raise BadDigestError(
            f"The {self.field} that was sent is not the one of what was received.",
            ExpectedDigest=b64encode(right).decode(),
            CalculatedDigest=b64encode(digest).decode(),
        )


def parse_expected(headers: Mapping[str, str], payload: str) -> tuple[Expected, ...]:
    """Return what *headers* say that the body hashes to; *payload* is that of the signature.

    Raises S3Error. ``x-amz-content-sha256`` is of the body as it is sent, which is the content
    only where it is not aws-chunked: then it is no hash.
    """
    found: list[Expected] = []
    if payload != UNSIGNED_PAYLOAD and payload not in STREAMING_PAYLOADS:
        found.append(Expected(PAYLOAD_FIELD, "sha256", bytes.fromhex(payload)))
    md5 = headers.get("content-md5")
    if md5 is not None:
        found.append(Expected("content-md5", "md5", _decoded(md5, "md5", InvalidDigestError)))
    sent = [name for name in headers if name.startswith(_PREFIX) and name not in _OTHERS]
    trailed = [name.strip(" \t") for name in headers.get("x-amz-trailer", "").lower().split(",")]
    trailed = [name for name in trailed if name.startswith(_PREFIX)]
    if len(sent) + len(trailed) > 1:
        raise InvalidRequestError("Expecting a single x-amz-checksum- header.")
    for name in sent:
        digest = _decoded(headers[name], _algorithm(name), InvalidRequestError)
        found.append(Expected(name, _algorithm(name), digest))
    found += [Expected(name, _algorithm(name), None) for name in trailed]
    return tuple(found)


def _algorithm(name: str) -> str:
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise NotImplementedS3Error(f"{name} is not known here: use {', '.join(ALGORITHMS)}.")
    return algorithm


def _decoded(text: str, algorithm: str, malformed: type[S3Error]) -> bytes:
    try:
        digest = a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one, as is text that is not ASCII
        digest = b""
    if len(digest) != digest_size(algorithm):
        raise malformed(f"A checksum is not base64 of a digest of {algorithm}.")
    return digest
