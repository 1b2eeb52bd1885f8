"""The body of an S3 request: how long its content is, and how it comes to be believed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Final

from fileloft_fast.s3front.checksums import ALGORITHMS, parse_expected
from fileloft_fast.s3front.chunks import maybe_decoder, without_aws_chunked
from fileloft_fast.s3front.codes import (
    MalformedXMLError,
    MissingContentLengthError,
    NotImplementedS3Error,
)
from fileloft_fast.s3front.reading import MAX_DOCUMENT_BYTES
from fileloft_fast.storages.reception import AtHand

if TYPE_CHECKING:
    from fileloft_fast.model import Body
    from fileloft_fast.s3front.asked import Asked
    from fileloft_fast.s3front.chunks import ChunkDecoder
    from fileloft_fast.storages.reception import Received

_WRITTEN_BYTES: Final = 256 * 1024
"""Content of decoded bodies that is written at once: a write costs as much as 30 KiB of it."""


class Incoming:
    """What a body brings: content of ``size`` bytes (None: its end tells), to be checked.

    ``pieces`` is that content where it has to be decoded; else it is the body as it comes.
    Raises S3Error for what cannot be received.
    """

    def __init__(self, asked: Asked, *, checksums: bool = True) -> None:
        """*checksums*: those in the head are of this body."""
        head = asked.head
        self._headers = {
            name: value
            for name, value in head.headers.items()
            if checksums or not is_checksum(name)
        }
        if "content-range" in head.headers:  # RFC 9110, section 14.5: or a part becomes the whole
            raise NotImplementedS3Error("Content-Range is not implemented here.")
        self._decoder = maybe_decoder(head, asked.signed)
        self._expected = parse_expected(self._headers, asked.signed.payload)
        coding = without_aws_chunked(head.headers.get("content-encoding", ""))
        if coding not in {"", "identity"}:
            raise NotImplementedS3Error("Content-Encoding is not kept here.")
        self.size: int | None = None if head.chunked else head.content_length
        self.pieces: AsyncGenerator[bytes, None] | None = None
        if self._decoder is not None:
            self.size = self._decoder.length
            self.pieces = _decoded(self._decoder, asked.body)
        elif not head.chunked and "content-length" not in head.headers:
            raise MissingContentLengthError

    @property
    def algorithm(self) -> str | None:
        """What the engine calculates while the bytes pass; any other digest reads them again."""
        return self._expected[0].algorithm if self._expected else None

    async def check(self, received: Received) -> None:
        """Raise S3Error where what came is not what the client says; a ``Check``."""
        for row in self._expected:
            row.check(await received.checksum(row.algorithm), self._trailers)

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Which of the client's checksums were verified."""
        sent = {**self._headers, **self._trailers}
        return tuple(
            (row.field.title(), sent[row.field])
            for row in self._expected
            if row.field in ALGORITHMS
        )

    @property
    def _trailers(self) -> Mapping[str, str]:
        return {} if self._decoder is None else self._decoder.trailers


def is_checksum(name: str) -> bool:
    """Return whether a field *name* tells a checksum, or something about one."""
    return name.startswith("x-amz-checksum-")


async def read_document(asked: Asked, *, checksums: bool = True) -> bytes:
    """Return the body of *asked*, which is a document; see ``Incoming``. Raises S3Error."""
    incoming = Incoming(asked, checksums=checksums)
    document = bytearray()
    async for piece in incoming.pieces or _plain(asked.body):
        document += piece
        if len(document) > MAX_DOCUMENT_BYTES:
            raise MalformedXMLError("The XML is too long.")
    await incoming.check(AtHand(bytes(document)))
    return bytes(document)


async def _plain(body: Body) -> AsyncGenerator[bytes, None]:
    while piece := await body.read():
        yield piece


async def _decoded(decoder: ChunkDecoder, body: Body) -> AsyncGenerator[bytes, None]:
    waiting: list[bytes] = []
    size = 0
    while data := await body.read():
        waiting += decoder.feed(data)
        size += len(data)
        if size >= _WRITTEN_BYTES and waiting:
            yield b"".join(waiting)
            waiting, size = [], 0
    decoder.finish()
    if waiting:
        yield b"".join(waiting)
