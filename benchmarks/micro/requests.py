"""The requests that the benchmarks are about."""

from __future__ import annotations

from typing import Final

from fileloft_fast.model import UploadId

UPLOAD: Final = UploadId("0123456789abcdef0123456789abcdef")
BODY: Final = bytes(range(256)) * 16

_TUS: Final = b"Host: upload.example\r\nTus-Resumable: 1.0.0\r\n"
_OCTETS: Final = b"Content-Type: application/offset+octet-stream\r\nContent-Length: 4096\r\n"

CREATE: Final = (
    b"POST /files/ HTTP/1.1\r\n"
    + _TUS
    + b"Upload-Length: 4096\r\nUpload-Metadata: filename c21hbGwuYmlu\r\n"
    + _OCTETS
    + b"\r\n"
)
INSPECT: Final = b"HEAD /files/" + UPLOAD.encode() + b" HTTP/1.1\r\n" + _TUS + b"\r\n"
BROWSER: Final = (
    b"PATCH /files/"
    + UPLOAD.encode()
    + b" HTTP/1.1\r\n"
    + _TUS
    + b"Upload-Offset: 0\r\n"
    + _OCTETS
    + b'Sec-Ch-Ua: "Chromium";v="142", "Not_A Brand";v="99"\r\n'
    b"Sec-Ch-Ua-Mobile: ?0\r\n"
    b'Sec-Ch-Ua-Platform: "Linux"\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n"
    b"Accept: */*\r\n"
    b"Origin: https://app.example\r\n"
    b"Sec-Fetch-Site: same-site\r\n"
    b"Sec-Fetch-Mode: cors\r\n"
    b"Sec-Fetch-Dest: empty\r\n"
    b"Referer: https://app.example/new\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Accept-Language: en-GB,en;q=0.9\r\n"
    b"\r\n"
)


def append(offset: int, upload: str = UPLOAD) -> bytes:
    """Return the head of a PATCH of ``BODY``."""
    return (
        b"PATCH /files/%b HTTP/1.1\r\n" % upload.encode()
        + _TUS
        + b"Upload-Offset: %d\r\n" % offset
        + _OCTETS
        + b"\r\n"
    )
