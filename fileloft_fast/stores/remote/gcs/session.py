"""Resumable sessions: what Google has of an object goes by its own answers, never by what was sent.

A session is named by the path of its address, which is good for a week, and a secret: whoever knows
it may write. Its precondition is fixed when it begins, and looked at when it ends.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.errors import RemoteRefusedError, RemoteUnavailableError, SessionLostError
from fileloft_fast.stores.remote.gcs.bodies import ChunkBody
from fileloft_fast.stores.remote.gcs.client import Answer, Client, failure
from fileloft_fast.stores.remote.gcs.resources import (
    parse_head,
    render_condition,
    render_crc32c,
    render_query,
    render_resource,
)
from fileloft_fast.stores.remote.objects import ABSENT, Attributes, ObjectHead, Pace, Piece

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.body import Read

_RANGE: Final = re.compile(r"bytes=0-(\d+)")
_GONE: Final = frozenset({404, 410, 499})

# No emulator but our own knows how to cancel; what is left over ends by itself after a week.
_CANCELLED: Final = _GONE | {200, 204, 501}

_MOST_KNOWN: Final = 4096


class Progress(Struct, frozen=True):
    """How many bytes Google has, and the object once it is made."""

    persisted: int
    head: ObjectHead | None = None


class Whole(Struct, frozen=True):
    """What is known of an object when its last bytes are sent."""

    size: int
    crc32c: int


class Sessions:
    """The resumable sessions of a bucket; *path* is where they begin."""

    def __init__(self, client: Client, path: str, pace: Pace | None, read: Read) -> None:
        self._client = client
        self._path = path
        self._pace = pace
        self._read = read
        # What was heard last, as long as nothing failed since; of any other Google is asked.
        self._known: dict[str, Progress] = {}

    async def create(self, key: str, attributes: Attributes) -> str:
        """Begin a session for an object that is not there yet, and return its name."""
        query = render_query(
            uploadType="resumable", name=key, ifGenerationMatch=render_condition(ABSENT)
        )
        answer = await self._client.ask(
            "POST",
            f"{self._path}?{query}",
            headers={
                "Content-Type": "application/json; charset=UTF-8",
                "X-Upload-Content-Type": attributes.content_type,
            },
            body=render_resource(attributes, name=key),
        )
        if answer.status not in {200, 201} or "Location" not in answer.headers:
            raise failure(answer, f"session for {key}")
        # Where the store is, the settings say: an emulator may know itself by another name.
        address = urlsplit(answer.headers["Location"])
        session = f"{address.path}?{address.query}"
        self._learn(session, Progress(0))
        return session

    async def put(self, session: str, offset: int, piece: Piece) -> None:
        """Send *piece*, whose place in the object is *offset*; what Google has is left out."""
        progress = await self._at(session, offset, None)
        while progress.persisted < offset + piece.length:
            if progress.persisted < offset:
                raise SessionLostError(
                    f"the session holds {progress.persisted} bytes of the {offset} it was given"
                )
            rest = _rest(piece, progress.persisted - offset)
            progress = await self._send(session, progress.persisted, rest, None)

    async def finish(self, session: str, last: Piece | None, whole: Whole) -> ObjectHead:
        """Send the *last* bytes, if any, and have the object made."""
        offset = whole.size - (0 if last is None else last.length)
        progress = await self._at(session, offset, whole)
        while progress.head is None:
            if not offset <= progress.persisted <= whole.size:
                raise SessionLostError(
                    f"the session holds {progress.persisted} bytes of the {offset} it was given"
                )
            if last is None or progress.persisted == whole.size:
                progress = await self._ask(session, whole)
                if progress.head is None:
                    raise RemoteUnavailableError("the session does not end with its last byte")
            else:
                rest = _rest(last, progress.persisted - offset)
                progress = await self._send(session, progress.persisted, rest, whole)
        self._known.pop(session, None)
        return progress.head

    async def persisted(self, session: str) -> int:
        """Ask how many bytes of a session are safe; all of them where it has ended."""
        return (await self._ask(session, None)).persisted

    async def cancel(self, session: str) -> None:
        """Throw a session away."""
        self._known.pop(session, None)
        answer = await self._client.ask("DELETE", _path(session))
        if answer.status not in _CANCELLED:
            raise failure(answer, "cancelling a session")

    async def _at(self, session: str, offset: int, whole: Whole | None) -> Progress:
        """Return the state of a session; asks, unless it is known to be where it should be."""
        known = self._known.get(session)
        if known is not None and known.persisted == offset:
            return known
        return await self._ask(session, whole)

    async def _send(self, session: str, start: int, piece: Piece, whole: Whole | None) -> Progress:
        """Send a chunk. Raises RemoteUnavailableError where nothing of it was taken."""
        end = start + piece.length
        headers = _terms(f"{start}-{end - 1}", whole)
        self._known.pop(session, None)  # not known any more until there is an answer
        with ChunkBody(piece, pace=self._pace, read=self._read) as body:
            answer = await self._client.ask("PUT", _path(session), headers=headers, body=body)
        progress = self._told(session, answer, end)
        if progress.head is None and progress.persisted <= start:
            self._known.pop(session, None)
            raise RemoteUnavailableError("nothing of a chunk was taken")
        return progress

    async def _ask(self, session: str, whole: Whole | None) -> Progress:
        """Ask for the state. With *whole*, a session that has all its bytes ends by this."""
        self._known.pop(session, None)
        headers = _terms("*", whole)
        answer = await self._client.ask("PUT", _path(session), headers=headers, body=b"")
        return self._told(session, answer, 0)

    def _told(self, session: str, answer: Answer, end: int) -> Progress:
        """Return what an answer tells, and remember it."""
        if answer.status in {200, 201}:
            head = parse_head(answer.body)
            progress = Progress(head.size, head)
        elif answer.status == 308:
            progress = Progress(_persisted(answer))
        elif answer.status in _GONE:
            raise SessionLostError(f"the session is gone: {answer.status}")
        else:
            raise failure(answer, f"session, up to byte {end}")
        self._learn(session, progress)
        return progress

    def _learn(self, session: str, progress: Progress) -> None:
        self._known[session] = progress
        if len(self._known) > _MOST_KNOWN:  # those that another replica went on with
            del self._known[next(iter(self._known))]


def _path(session: str) -> str:
    """Return where a session is asked. Its name may come out of a record that others can write."""
    if not session.startswith("/upload/"):
        raise SessionLostError("not the name of a session")
    return session


def _rest(piece: Piece, skip: int) -> Piece:
    """Return *piece* without its first bytes; its checksum is of no use then, and is not sent."""
    return replace(piece, start=piece.start + skip, length=piece.length - skip)


def _terms(span: str, whole: Whole | None) -> dict[str, str]:
    """Return the header fields of a request to a session."""
    if whole is None:
        return {"Content-Range": f"bytes {span}/*"}
    return {
        "Content-Range": f"bytes {span}/{whole.size}",
        "X-Goog-Hash": f"crc32c={render_crc32c(whole.crc32c)}",
    }


def _persisted(answer: Answer) -> int:
    """Return how many bytes an answer says are safe; without a Range there are none."""
    told = answer.headers.get("Range")
    if told is None:
        return 0
    matched = _RANGE.fullmatch(told)
    if matched is None:
        raise RemoteRefusedError(f"a session that holds {told}")
    return int(matched[1]) + 1
