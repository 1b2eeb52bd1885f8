"""aws-chunked bodies as clients send them, signed by functions of the test's own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.s3front.signature import Chain

EMPTY = hashlib.sha256(b"").hexdigest()


def crc32(data: bytes) -> str:
    """Return the value of x-amz-checksum-crc32."""
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def unsigned_body(pieces: Sequence[bytes], trailers: Sequence[str]) -> bytes:
    """Return STREAMING-UNSIGNED-PAYLOAD-TRAILER."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return chunks + b"0\r\n" + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


def signed_body(
    chain: Chain, pieces: Sequence[bytes], trailers: Sequence[str] | None = None, end: str = "\r\n"
) -> bytes:
    """Return STREAMING-AWS4-HMAC-SHA256-PAYLOAD, or -TRAILER; *end* ends the line of a trailer."""
    previous = chain.seed
    body = b""
    for piece in [*(piece for piece in pieces if piece), b""]:
        digest = hashlib.sha256(piece).hexdigest()
        previous = _sign(chain, "PAYLOAD", previous, f"{EMPTY}\n{digest}")
        body += b"%x;chunk-signature=%b\r\n" % (len(piece), previous.encode())
        body += piece + b"\r\n" if piece else b""
    if trailers is None:
        return body + b"\r\n"
    text = "".join(f"{line}\n" for line in trailers)
    signature = _sign(chain, "TRAILER", previous, hashlib.sha256(text.encode()).hexdigest())
    body += "".join(f"{line}{end}" for line in trailers).encode()
    return body + f"x-amz-trailer-signature:{signature}\r\n\r\n".encode()


def _sign(chain: Chain, kind: str, previous: str, hashes: str) -> str:
    text = f"AWS4-HMAC-SHA256-{kind}\n{chain.timestamp}\n{chain.scope}\n{previous}\n{hashes}"
    return hmac.digest(chain.key, text.encode(), "sha256").hex()
