"""Objects that come in parts: what they are to be, and which parts are there.

A session and its parts are rows, and a part's bytes are an upload in the storage's folder; the
object is put together when the session is completed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from fileloft_fast.errors import UploadNotFoundError
from fileloft_fast.storages.entry import Wish
from fileloft_fast.storages.rubbish import discard

if TYPE_CHECKING:
    import sqlite3

    from fileloft_fast.database import Database

SESSIONS_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, storage TEXT NOT NULL, path TEXT NOT NULL, wish BLOB NOT NULL,
    started_at REAL NOT NULL, touched_at REAL NOT NULL, etag TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_path ON sessions (storage, path, id);
CREATE INDEX IF NOT EXISTS sessions_touched ON sessions (storage, touched_at);
CREATE TABLE IF NOT EXISTS parts (
    session TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified_at REAL NOT NULL, PRIMARY KEY (session, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS parts_blob ON parts (blob);
"""

_MOST_PARTS: Final = 10_000
_MOST_EXPIRED: Final = 100
_FIELDS: Final = "id, wish, started_at, etag"
_WISHES: Final = msgspec.msgpack.Decoder(Wish)


class Session(msgspec.Struct, frozen=True):
    """An object that comes in parts; ``etag`` is the object's once it is there, "" before."""

    id: str
    wish: Wish
    started_at: float
    etag: str


class Part(msgspec.Struct, frozen=True):
    """A part that has come."""

    number: int
    blob: str
    size: int
    etag: str
    modified_at: float


class Sessions:
    """The sessions of a catalogue. Every method raises CatalogueError where that fails."""

    def __init__(self, writing: Database, reading: Database) -> None:
        self._writing = writing
        self._reading = reading

    # -- looks ----------------------------------------------------------------------------------

    async def find(self, storage: str, path: str, session: str) -> Session:
        """Return a session of the object at *path*. Raises UploadNotFoundError."""
        return await self._reading.run(lambda c: _find(c, storage, path, session))

    async def parts(self, session: str, after: int = 0, most: int = _MOST_PARTS) -> list[Part]:
        """Return parts with a number above *after*, in order."""
        return await self._reading.run(lambda c: _parts(c, session, after, most))

    async def page(
        self, storage: str, prefix: str, after: tuple[str, str], most: int
    ) -> list[Session]:
        """Return sessions that are not over, by path and id, those after *after*."""
        return await self._reading.run(lambda c: _page(c, storage, prefix, after, most))

    # -- changes --------------------------------------------------------------------------------

    async def begin(self, storage: str, session: Session) -> None:
        """Write *session* down."""
        await self._writing.run(lambda c: _begin(c, storage, session))

    def touch(self, session: str) -> None:
        """Let *session* live for another while; soon."""
        self._writing.post(lambda c: _touch(c, session))

    async def add(self, storage: str, path: str, session: str, part: Part) -> None:
        """Add *part*, in the place of one with its number. Raises UploadNotFoundError."""
        await self._writing.run(lambda c: _add(c, storage, path, session, part))

    async def finish(self, storage: str, session: str, etag: str) -> None:
        """Remember that the object is there, for who asks again; its parts are deleted."""
        await self._writing.run(lambda c: _finish(c, storage, session, etag))

    async def abort(self, storage: str, path: str, session: str) -> None:
        """Forget a session, and have its parts deleted. Raises UploadNotFoundError."""
        await self._writing.run(lambda c: _abort(c, storage, path, session))

    async def expire(self, storage: str, until: float) -> bool:
        """Forget sessions that nobody has touched since *until*; whether there may be more."""
        return await self._writing.run(lambda c: _expire(c, storage, until))


def _find(c: sqlite3.Connection, storage: str, path: str, session: str) -> Session:
    row = c.execute(
        f"SELECT {_FIELDS} FROM sessions WHERE id = ? AND storage = ? AND path = ?",  # noqa: S608 - a constant
        (session, storage, path),
    ).fetchone()
    if row is None:
        raise UploadNotFoundError("no such multipart upload")
    return _session(row)


def _session(row: tuple[str, bytes, float, str]) -> Session:
    return Session(row[0], _WISHES.decode(row[1]), row[2], row[3])


def _parts(c: sqlite3.Connection, session: str, after: int, most: int) -> list[Part]:
    rows = c.execute(
        "SELECT number, blob, size, etag, modified_at FROM parts WHERE session = ? AND number > ?"
        " ORDER BY number LIMIT ?",
        (session, after, most),
    )
    return [Part(*row) for row in rows]


def _page(
    c: sqlite3.Connection, storage: str, prefix: str, after: tuple[str, str], most: int
) -> list[Session]:
    rows = c.execute(
        f"SELECT {_FIELDS} FROM sessions WHERE storage = ? AND (path, id) > (?, ?)"  # noqa: S608 - a constant
        " AND path >= ? AND path < ? AND etag = '' ORDER BY path, id LIMIT ?",
        (storage, *after, prefix, f"{prefix}\x7f", most),
    )
    return [_session(row) for row in rows]


def _begin(c: sqlite3.Connection, storage: str, session: Session) -> None:
    c.execute(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, '')",
        (
            session.id,
            storage,
            session.wish.path,
            msgspec.msgpack.encode(session.wish),
            session.started_at,
            session.started_at,
        ),
    )


def _touch(c: sqlite3.Connection, session: str) -> None:
    c.execute("UPDATE sessions SET touched_at = ? WHERE id = ?", (time.time(), session))


def _add(c: sqlite3.Connection, storage: str, path: str, session: str, part: Part) -> None:
    if _find(c, storage, path, session).etag:
        raise UploadNotFoundError("the multipart upload is completed")
    for known in _parts(c, session, part.number - 1, 1):
        if known.number == part.number:
            discard(c, storage, known.blob)
    c.execute(
        "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?)",
        (session, part.number, part.blob, part.size, part.etag, part.modified_at),
    )
    _touch(c, session)


def _finish(c: sqlite3.Connection, storage: str, session: str, etag: str) -> None:
    _discard_parts(c, storage, session)
    c.execute("UPDATE sessions SET etag = ? WHERE id = ?", (etag, session))
    _touch(c, session)


def _abort(c: sqlite3.Connection, storage: str, path: str, session: str) -> None:
    if _find(c, storage, path, session).etag:
        raise UploadNotFoundError("the multipart upload is completed")
    _forget(c, storage, session)


def _expire(c: sqlite3.Connection, storage: str, until: float) -> bool:
    rows = c.execute(
        "SELECT id FROM sessions WHERE storage = ? AND touched_at <= ? LIMIT ?",
        (storage, until, _MOST_EXPIRED),
    ).fetchall()
    for (session,) in rows:
        _forget(c, storage, session)
    return len(rows) == _MOST_EXPIRED


def _forget(c: sqlite3.Connection, storage: str, session: str) -> None:
    _discard_parts(c, storage, session)
    c.execute("DELETE FROM sessions WHERE id = ?", (session,))


def _discard_parts(c: sqlite3.Connection, storage: str, session: str) -> None:
    for part in _parts(c, session, 0, _MOST_PARTS):
        discard(c, storage, part.blob)
    c.execute("DELETE FROM parts WHERE session = ?", (session,))
