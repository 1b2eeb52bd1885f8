"""aws-chunked bodies: chunks with a size and, where they are signed, a signature each.

S3 API reference, "Signature Calculations: Transferring Payload in Multiple Chunks" and "… Trailing
Headers". A stream in, content out, however the network cuts it. What is handed out is verified no
earlier than at the end of its chunk: nobody may publish it before ``finish`` has returned.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from fileloft_fast.s3front.claim import (
    STREAMING_PAYLOADS,
    STREAMING_SIGNED,
    STREAMING_UNSIGNED_TRAILER,
)
from fileloft_fast.s3front.codes import (
    IncompleteBodyError,
    InvalidArgumentError,
    InvalidRequestError,
    MalformedTrailerError,
    MissingContentLengthError,
    SignatureDoesNotMatchError,
)
from fileloft_fast.s3front.signature import Chain, Signed, is_signature

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead

MAX_LINE_BYTES: Final = 1024
MAX_TRAILERS: Final = 16

_EMPTY_HASH: Final = sha256(b"").hexdigest()
_SIGNATURE_TRAILER: Final = "x-amz-trailer-signature"
_split_signed: Final = re.compile(rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})").fullmatch
_split_unsigned: Final = re.compile(rb"([0-9A-Fa-f]{1,16})()").fullmatch
_split_trailer: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([ -~]*)").fullmatch


class _Expect(Enum):
    SIZE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    NOTHING = auto()


def maybe_decoder(head: RequestHead, signed: Signed) -> ChunkDecoder | None:
    """Return what decodes the body of *head*, None where it is no aws-chunked one."""
    if signed.payload not in STREAMING_PAYLOADS:
        return None
    length = head.headers.get("x-amz-decoded-content-length")
    if length is None:
        raise MissingContentLengthError("x-amz-decoded-content-length is needed.")
    if not (0 < len(length) <= 18 and length.isascii() and length.isdecimal()):
        raise InvalidArgumentError("x-amz-decoded-content-length is not a number of bytes.")
    names = head.headers.get("x-amz-trailer", "").lower().split(",")
    announced = frozenset(name.strip(" \t") for name in names if name.strip(" \t"))
    return ChunkDecoder(signed.payload, signed.chain, int(length), announced)


def without_aws_chunked(coding: str) -> str:
    """Return ``Content-Encoding`` as it is kept with the object: without the coding of the wire."""
    names = (name.strip(" \t") for name in coding.split(","))
    return ",".join(name for name in names if name.lower() != "aws-chunked")


class ChunkDecoder:
    """Decodes one body and verifies its signatures; ``trailers`` are there at the end."""

    __slots__ = (
        "_announced",
        "_chain",
        "_claimed",
        "_expect",
        "_hash",
        "_left",
        "_line",
        "_previous",
        "_received",
        "_signed",
        "_trailed",
        "_trailer_text",
        "length",
        "trailers",
    )

    def __init__(self, payload: str, chain: Chain, length: int, announced: frozenset[str]) -> None:
        """Begin; *payload* is one of STREAMING_PAYLOADS, *announced* what ``x-amz-trailer`` has."""
        self._chain = chain
        self._signed = payload != STREAMING_UNSIGNED_TRAILER
        self._trailed = payload != STREAMING_SIGNED
        self._announced = announced
        self._previous = chain.seed
        self._claimed = ""
        self._expect = _Expect.SIZE
        self._hash = sha256()
        self._left = 0  # bytes of the chunk still to come
        self._line = b""  # the beginning of a line whose end has not come
        self._received = 0
        self._trailer_text = b""
        self.length = length
        self.trailers: dict[str, str] = {}

    @property
    def ended(self) -> bool:
        """Whether the last line of the body has been read."""
        return self._expect is _Expect.NOTHING

    def feed(self, data: bytes) -> list[bytes]:
        """Return the content in *data*; raises S3Error, after which nothing more can be decoded."""
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while at < size:
            if self._expect is _Expect.DATA:
                piece = data[at : at + self._left]
                at += len(piece)
                self._on_data(piece)
                pieces.append(piece)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                if len(self._line) > MAX_LINE_BYTES:
                    raise InvalidRequestError("A line of the aws-chunked body is too long.")
                break
            line = self._line + data[at:end]
            at = end + 1
            self._line = b""
            self._on_line(line)
        return pieces

    def finish(self) -> None:
        """Raise IncompleteBodyError unless the whole body has come, and what it announced."""
        if not self.ended or self._line or self._received != self.length:
            raise IncompleteBodyError

    def _on_data(self, piece: bytes) -> None:
        self._left -= len(piece)
        self._received += len(piece)
        if self._signed:
            self._hash.update(piece)
        if self._left == 0:
            self._verify_chunk()
            self._expect = _Expect.DATA_END

    def _on_line(self, line: bytes) -> None:
        if len(line) > MAX_LINE_BYTES:
            raise InvalidRequestError("A line of the aws-chunked body is too long.")
        if self._expect is _Expect.TRAILER:
            self._on_trailer(line.removesuffix(b"\r"))  # minio-go ends them with a bare LF
        elif not line.endswith(b"\r"):
            raise InvalidRequestError("A line of the aws-chunked body ends with a bare LF.")
        elif self._expect is _Expect.SIZE:
            self._on_size(line[:-1])
        elif line != b"\r":
            raise InvalidRequestError("A chunk is longer than its size.")
        elif self._expect is _Expect.DATA_END:
            self._expect = _Expect.SIZE
        # else: minio-go sends one empty line more after its trailers

    def _on_size(self, line: bytes) -> None:
        match = (_split_signed if self._signed else _split_unsigned)(line)
        if match is None:
            raise InvalidRequestError("A chunk has no valid size, or no signature.")
        self._left = int(match[1], 16)
        self._claimed = match[2].decode()
        if self._left:
            if self._received + self._left > self.length:
                raise InvalidRequestError(
                    "The chunks are longer than x-amz-decoded-content-length."
                )
            self._expect = _Expect.DATA
            return
        self._verify_chunk()
        self._expect = _Expect.TRAILER

    def _verify_chunk(self) -> None:
        if self._signed:
            digest = self._hash.hexdigest()
            self._verify("PAYLOAD", f"{_EMPTY_HASH}\n{digest}", self._claimed)
            self._hash = sha256()

    def _verify(self, kind: str, hashes: str, claimed: str) -> None:
        chain = self._chain
        text = (
            f"AWS4-HMAC-SHA256-{kind}\n{chain.timestamp}\n{chain.scope}\n{self._previous}\n{hashes}"
        )
        if not is_signature(chain.key, text, claimed):
            raise SignatureDoesNotMatchError(f"The signature of a {kind.lower()} does not match.")
        self._previous = claimed

    def _on_trailer(self, line: bytes) -> None:
        if not line:
            # minio-go has an empty line before the signature, which alone ends signed trailers.
            if not (self._signed and self._trailed) or _SIGNATURE_TRAILER in self.trailers:
                self._end()
            return
        match = _split_trailer(line)
        if match is None or not self._trailed or len(self.trailers) > MAX_TRAILERS:
            raise MalformedTrailerError
        name, value = match[1].decode().lower(), match[2].decode().strip(" ")
        if name in self.trailers or _SIGNATURE_TRAILER in self.trailers:
            raise MalformedTrailerError
        if name != _SIGNATURE_TRAILER:
            self._trailer_text += f"{name}:{value}\n".encode()
        self.trailers[name] = value

    def _end(self) -> None:
        signature = self.trailers.pop(_SIGNATURE_TRAILER, None)
        if signature is not None:
            if not self._signed:
                raise MalformedTrailerError
            self._verify("TRAILER", sha256(self._trailer_text).hexdigest(), signature)
        if self.trailers.keys() != self._announced:
            raise MalformedTrailerError
        self._expect = _Expect.NOTHING
