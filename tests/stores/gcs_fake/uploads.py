"""Resumable sessions over HTTP: 308 with ``Range``, multiples of 256 KiB, checks at the end."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, NamedTuple

from aiohttp import web

from tests.stores.gcs_fake.bucket import GRANULE, Bucket, RefusalError, StoredSession

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stores.gcs_fake.faults import Fault

_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_PIECE: Final = 65_536


class CutShortError(Exception):
    """The connection has ended, or is to end now."""


class Span(NamedTuple):
    """A Content-Range: bytes ``[first, end)``, none where it only asks, of *total* where known."""

    first: int
    end: int
    total: int | None
    asks: bool

    @property
    def operation(self) -> str:
        """The name of what is asked for; see ``Fault``."""
        if self.asks:
            return "status" if self.total is None else "finish"
        return "last" if self.end == self.total else "part"


def parse_span(header: str) -> Span:
    """Return what a Content-Range says. Raises RefusalError."""
    matched = _RANGE.fullmatch(header)
    if matched is None:
        raise RefusalError(400, f"Failed to parse Content-Range header: {header}")
    total = None if matched[3] == "*" else int(matched[3])
    if matched[1] is None:
        return Span(0, 0, total, asks=True)
    return Span(int(matched[1]), int(matched[2]) + 1, total, asks=False)


async def body_pieces(request: web.Request, fault: Fault | None) -> AsyncIterator[bytes]:
    """Go through a body. Raises CutShortError where it ends early, by *fault* or by itself."""
    received = 0
    limit = fault.size if fault is not None and fault.kind == "cut" else None
    try:
        async for data in request.content.iter_chunked(_PIECE):
            if limit is not None and received + len(data) >= limit:
                yield data[: limit - received]
                raise CutShortError
            received += len(data)
            yield data
            if fault is not None and fault.kind == "trickle":
                await asyncio.sleep(fault.seconds)  # the slowness is what is simulated
    except (OSError, web.RequestPayloadError) as error:
        raise CutShortError from error


class Uploads:
    """The resumable sessions of a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def session(self, request: web.Request) -> StoredSession:
        """Return the session that a request names. Raises RefusalError."""
        session = self._bucket.sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise RefusalError(404, "Not Found")
        if session.state == "cancelled":
            raise RefusalError(499, "Client Closed Request")
        if session.state == "failed":
            raise RefusalError(410, "Gone")
        return session

    async def put(self, request: web.Request, span: Span, fault: Fault | None) -> str | None:
        """Take bytes or tell how many there are.

        Returns the name of the object that was or is finished, None where more is to come.
        """
        session = self.session(request)
        async with self._turns[session.upload]:
            session = self.session(request)
            if session.state == "done":
                return session.name
            if not span.asks:
                await self._receive(request, session, span, fault)
            elif span.total is not None and span.total < self._bucket.persisted(session):
                raise RefusalError(400, "fewer bytes than were uploaded")
            if span.total is None or span.total != self._size(session):
                return None
            return self._bucket.finish(session, told_crc32c(request)).name

    def incomplete(self, session: StoredSession) -> web.Response:
        """Return the answer that says how many bytes there are: no Range at none."""
        persisted = self._bucket.persisted(session)
        headers = {"Range": f"bytes=0-{persisted - 1}"} if persisted else {}
        return web.Response(status=308, reason="Resume Incomplete", headers=headers)

    async def _receive(
        self, request: web.Request, session: StoredSession, span: Span, fault: Fault | None
    ) -> None:
        persisted = self._bucket.persisted(session)
        if span.first > persisted:
            raise RefusalError(
                503,
                "Invalid request.  According to the Content-Range header, the upload offset is "
                f"{span.first} byte(s), which exceeds already uploaded size of {persisted} byte(s)",
            )
        if span.end != span.total and (span.end - span.first) % GRANULE:
            raise RefusalError(400, "a chunk that is not the last has to be a multiple of 256 KiB")
        if request.content_length != span.end - span.first:
            raise RefusalError(400, "Content-Length and Content-Range differ")
        path = self._bucket.session_path(session)
        try:
            await _write(path, request, fault, at=span.first, held=persisted)
        except CutShortError:
            _cut(path, path.stat().st_size // GRANULE * GRANULE)
            raise
        if fault is not None and fault.kind == "prefix":
            _cut(path, max(persisted, (span.first + fault.size) // GRANULE * GRANULE))

    def _size(self, session: StoredSession) -> int:
        return self._bucket.session_path(session).stat().st_size


async def _write(
    path: Path, request: web.Request, fault: Fault | None, *, at: int, held: int
) -> None:
    """Write a body that begins at *at*; bytes below *held* are there, and are not looked at."""
    with path.open("r+b") as file:
        file.truncate(held)
        file.seek(held)
        async for data in body_pieces(request, fault):
            fresh = data[max(held - at, 0) :]
            at += len(data)
            file.write(fresh)


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def told_crc32c(request: web.Request) -> str | None:
    """Return the checksum that a request gives for the whole object."""
    for field in request.headers.get("X-Goog-Hash", "").split(","):
        name, _, value = field.strip().partition("=")
        if name == "crc32c":
            return value
    return None
