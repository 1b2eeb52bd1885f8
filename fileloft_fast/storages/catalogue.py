"""What lies where: the objects of folders, what waits to be verified, which tickets are spent.

One SQLite file for all storages and all workers. An upload in a storage's folder is shown by a row
alone, so that publishing, replacing and verifying are one transaction each.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from fileloft_fast.database import Database
from fileloft_fast.errors import (
    CatalogueError,
    ConfigError,
    ObjectExistsError,
    QuotaError,
    TicketSpentError,
)
from fileloft_fast.model import UploadId
from fileloft_fast.storages.entry import Entry, Pending, Wish
from fileloft_fast.storages.rubbish import RUBBISH_SCHEMA, discard
from fileloft_fast.storages.sessions import SESSIONS_SCHEMA, Sessions

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects (
    storage TEXT NOT NULL, path TEXT NOT NULL, entry BLOB NOT NULL, blob TEXT NOT NULL,
    PRIMARY KEY (storage, path)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
    storage TEXT NOT NULL, path TEXT NOT NULL, entry BLOB NOT NULL, blob TEXT NOT NULL,
    overwrite INTEGER NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (storage, path)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_expiry ON pending (storage, expires_at);
CREATE TABLE IF NOT EXISTS spent (nonce TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spent_expiry ON spent (expires_at);
-- Uploads in pieces: what a ticket wished for, and whether it has come to be.
CREATE TABLE IF NOT EXISTS wishes (
    blob TEXT PRIMARY KEY, storage TEXT NOT NULL, wish BLOB NOT NULL, nonce TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS wishes_nonce ON wishes (nonce);
-- Which folder is whose; see ``belonging``.
CREATE TABLE IF NOT EXISTS folders (
    storage TEXT PRIMARY KEY, folder TEXT NOT NULL UNIQUE, token TEXT NOT NULL
) WITHOUT ROWID;
"""

_MOST_WISHES: Final = 4
"""Unfinished uploads in pieces at once for one ticket: who lost an answer begins anew."""

_BUSY_S: Final = 60
PAGE: Final = 1000
"""How many rows a look returns at most."""

SPENT_KEPT_S: Final = 86_400.0
"""How long after its end a ticket is known to be spent: uploads may run when it ends."""

_ENTRIES: Final = msgspec.msgpack.Decoder(Entry)
_WISHES: Final = msgspec.msgpack.Decoder(Wish)


class Catalogue:
    """The catalogue in the file at *path*. Every method raises CatalogueError where that fails."""

    def __init__(self, path: Path) -> None:
        self._tokens: dict[str, str] = {}
        schema = _SCHEMA + RUBBISH_SCHEMA + SESSIONS_SCHEMA
        self._writing = Database(path, schema, _failed, check=self._check)
        self._reading = Database(path, schema, _failed, reading=True, check=self._check)
        self.sessions = Sessions(self._writing, self._reading)

    def _check(self, c: sqlite3.Connection) -> None:
        """Raise CatalogueError for another catalogue than the one that the folders belong to.

        Who has taken the file away, to restore it perhaps, has not taken the objects away: for an
        empty catalogue each of them would be rubbish.
        """
        for storage, token in self._tokens.items():
            if _known_token(c, storage) != token:
                raise CatalogueError(f"this is not the catalogue that knew {storage}")

    async def close(self) -> None:
        """Close the file."""
        await self._reading.close()
        await self._writing.close()

    # -- looks ----------------------------------------------------------------------------------

    async def look(self, storage: str, path: str) -> Entry | None:
        """Return the object of a folder at *path*."""
        return await self._reading.run(lambda c: _object(c, storage, path))

    async def page(self, storage: str, prefix: str, after: str) -> list[Entry]:
        """Return objects whose path begins with *prefix* and comes after *after*, 1,000 at most."""
        return await self._reading.run(lambda c: _page(c, storage, prefix, after))

    async def pending(self, storage: str, path: str) -> Pending | None:
        """Return what waits at *path* to be verified."""
        return await self._reading.run(lambda c: _pending(c, storage, path))

    async def expired(self, storage: str, now: float) -> list[Pending]:
        """Return some of those whose time to be verified was over at *now*."""
        return await self._reading.run(lambda c: _expired(c, storage, now))

    async def wish(self, storage: str, blob: UploadId) -> tuple[Wish, bool] | None:
        """Return what an upload in pieces is to become, and whether it has."""
        return await self._reading.run(lambda c: _wish(c, storage, blob))

    async def unfinished(self, storage: str, after: str) -> list[tuple[UploadId, Wish]]:
        """Return uploads in pieces that are no objects yet, those after *after*, in order."""
        return await self._reading.run(lambda c: _unfinished(c, storage, after))

    async def rubbish(self, storage: str) -> list[UploadId]:
        """Return uploads that are to be deleted."""
        return await self._reading.run(lambda c: _rubbish(c, storage))

    async def shows(self, storage: str, blob: UploadId, path: str) -> bool:
        """Return whether anything still wants *blob*, an upload that was made for *path*."""
        return await self._reading.run(lambda c: _shows(c, storage, blob, path))

    async def foresee(self, storage: str, wish: Wish) -> None:
        """Raise what ``await_verification`` would raise now, but for permanent objects."""
        await self._reading.run(lambda c: _foresee(c, storage, wish))

    # -- changes --------------------------------------------------------------------------------

    async def publish(self, storage: str, entry: Entry, *, overwrite: bool) -> None:
        """Show *entry*. Raises ObjectExistsError."""
        await self._writing.run(lambda c: _publish(c, storage, entry, overwrite=overwrite))

    async def await_verification(self, storage: str, entry: Entry, wish: Wish) -> None:
        """Spend the ticket of *wish* for *entry*, which has come and is to be verified.

        Raises TicketSpentError, ObjectExistsError.
        """
        await self._writing.run(lambda c: _await_verification(c, storage, entry, wish))

    async def promote(self, storage: str, pending: Pending) -> bool:
        """Show what waited; False where it does not wait any more. Raises ObjectExistsError."""
        return await self._writing.run(lambda c: _promote(c, storage, pending))

    async def settle(self, storage: str, pending: Pending) -> bool:
        """Forget that *pending* waited, and have its upload deleted; False where it did not."""
        return await self._writing.run(lambda c: _settle(c, storage, pending))

    async def remove(self, storage: str, path: str) -> bool:
        """Show nothing at *path* any more; False where nothing was shown."""
        return await self._writing.run(lambda c: _remove(c, storage, path))

    async def remember(self, storage: str, blob: UploadId, wish: Wish) -> None:
        """Write down what an upload in pieces is to become, before it is made.

        Raises TicketSpentError, and QuotaError where its ticket has many that are unfinished.
        """
        await self._writing.run(lambda c: _remember(c, storage, blob, wish))

    async def forgotten(self, storage: str, *blobs: UploadId) -> None:
        """Know nothing more of uploads that are deleted."""
        await self._writing.run(lambda c: _forget(c, storage, blobs))

    async def token(self, storage: str, folder: Path) -> str:
        """Return the name that *folder* has here; it may have been moved.

        Raises ConfigError where it is another storage's.
        """
        token = await self._writing.run(lambda c: _token(c, storage, str(folder)))
        self._tokens[storage] = token
        return token

    def forget(self, storage: str, *blobs: UploadId) -> None:
        """Know nothing more of uploads that are deleted; soon."""
        if blobs:
            self._writing.post(lambda c: _forget(c, storage, blobs))

    def prune(self, now: float) -> None:
        """Forget which tickets were spent that nobody takes any more at *now*; soon."""
        self._writing.post(lambda c: _prune(c, now))


def _failed() -> CatalogueError:
    return CatalogueError("the catalogue of the storages cannot be used")


def _object(c: sqlite3.Connection, storage: str, path: str) -> Entry | None:
    row = c.execute(
        "SELECT entry FROM objects WHERE storage = ? AND path = ?", (storage, path)
    ).fetchone()
    return None if row is None else _ENTRIES.decode(row[0])


def _page(c: sqlite3.Connection, storage: str, prefix: str, after: str) -> list[Entry]:
    # Paths are ASCII: what begins with a prefix ends before the prefix with a last character more.
    rows = c.execute(
        "SELECT entry FROM objects WHERE storage = ? AND path > ? AND path >= ? AND path < ?"
        " ORDER BY path LIMIT ?",
        (storage, after, prefix, f"{prefix}\x7f", PAGE),
    )
    return [_ENTRIES.decode(entry) for (entry,) in rows]


def _pending(c: sqlite3.Connection, storage: str, path: str) -> Pending | None:
    row = c.execute(
        "SELECT entry, overwrite, expires_at FROM pending WHERE storage = ? AND path = ?",
        (storage, path),
    ).fetchone()
    return None if row is None else Pending(_ENTRIES.decode(row[0]), bool(row[1]), row[2])


def _expired(c: sqlite3.Connection, storage: str, now: float) -> list[Pending]:
    rows = c.execute(
        "SELECT entry, overwrite, expires_at FROM pending WHERE storage = ? AND expires_at <= ?"
        " LIMIT ?",
        (storage, now, PAGE),
    )
    return [Pending(_ENTRIES.decode(entry), bool(over), at) for entry, over, at in rows]


def _wish(c: sqlite3.Connection, storage: str, blob: UploadId) -> tuple[Wish, bool] | None:
    row = c.execute(
        "SELECT wish, done FROM wishes WHERE blob = ? AND storage = ?", (blob, storage)
    ).fetchone()
    return None if row is None else (_WISHES.decode(row[0]), bool(row[1]))


def _unfinished(c: sqlite3.Connection, storage: str, after: str) -> list[tuple[UploadId, Wish]]:
    rows = c.execute(
        "SELECT blob, wish FROM wishes WHERE storage = ? AND blob > ? AND NOT done"
        " ORDER BY blob LIMIT ?",
        (storage, after, PAGE),
    )
    return [(UploadId(blob), _WISHES.decode(wish)) for blob, wish in rows]


def _rubbish(c: sqlite3.Connection, storage: str) -> list[UploadId]:
    rows = c.execute("SELECT blob FROM rubbish WHERE storage = ? LIMIT ?", (storage, PAGE))
    return [UploadId(blob) for (blob,) in rows]


def _shows(c: sqlite3.Connection, storage: str, blob: UploadId, path: str) -> bool:
    row = c.execute(
        "SELECT 1 FROM objects WHERE storage = ?1 AND path = ?2 AND blob = ?3 UNION ALL"
        " SELECT 1 FROM pending WHERE storage = ?1 AND path = ?2 AND blob = ?3 UNION ALL"
        " SELECT 1 FROM parts WHERE blob = ?3",
        (storage, path, blob),
    ).fetchone()
    return row is not None


def _publish(c: sqlite3.Connection, storage: str, entry: Entry, *, overwrite: bool) -> None:
    known = _object(c, storage, entry.path)
    if known is not None and known.blob == entry.blob:
        return  # asked again, since an answer was lost
    if known is not None and not overwrite:
        raise ObjectExistsError("there is an object at this path")
    if known is not None:
        discard(c, storage, known.blob)
    c.execute(
        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
        (storage, entry.path, msgspec.msgpack.encode(entry), entry.blob),
    )


def _foresee(c: sqlite3.Connection, storage: str, wish: Wish) -> None:
    _check_unspent(c, wish.nonce)
    if not wish.overwrite and _pending(c, storage, wish.path):
        raise ObjectExistsError("an object waits to be verified at this path")


def _await_verification(c: sqlite3.Connection, storage: str, entry: Entry, wish: Wish) -> None:
    waiting = _pending(c, storage, entry.path)
    if waiting is not None and waiting.entry.blob == entry.blob:
        return
    _check_unspent(c, wish.nonce)
    if not wish.overwrite and (waiting or _object(c, storage, entry.path)):
        raise ObjectExistsError("there is an object at this path")
    if waiting is not None:
        discard(c, storage, waiting.entry.blob)
    kept_until = max(wish.expires_at, time.time()) + SPENT_KEPT_S
    c.execute("INSERT INTO spent VALUES (?, ?)", (wish.nonce, kept_until))
    c.execute(
        "INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?)",
        (
            storage,
            entry.path,
            msgspec.msgpack.encode(entry),
            entry.blob,
            wish.overwrite,
            wish.expires_at,
        ),
    )
    c.execute("UPDATE wishes SET done = 1 WHERE blob = ?", (entry.blob,))


def _promote(c: sqlite3.Connection, storage: str, pending: Pending) -> bool:
    entry = pending.entry
    _check_replaceable(c, storage, pending)
    if not _take_pending(c, storage, entry):
        return False
    _publish(c, storage, entry, overwrite=True)
    return True


def _check_replaceable(c: sqlite3.Connection, storage: str, pending: Pending) -> None:
    if not pending.overwrite and _object(c, storage, pending.entry.path) is not None:
        raise ObjectExistsError("there is an object at this path")


def _settle(c: sqlite3.Connection, storage: str, pending: Pending) -> bool:
    taken = _take_pending(c, storage, pending.entry)
    if taken:
        discard(c, storage, pending.entry.blob)
    return taken


def _take_pending(c: sqlite3.Connection, storage: str, entry: Entry) -> bool:
    taken = c.execute(
        "DELETE FROM pending WHERE storage = ? AND path = ? AND blob = ?",
        (storage, entry.path, entry.blob),
    )
    return taken.rowcount == 1


def _remove(c: sqlite3.Connection, storage: str, path: str) -> bool:
    known = _object(c, storage, path)
    if known is None:
        return False
    c.execute("DELETE FROM objects WHERE storage = ? AND path = ?", (storage, path))
    discard(c, storage, known.blob)
    return True


def _remember(c: sqlite3.Connection, storage: str, blob: UploadId, wish: Wish) -> None:
    _check_unspent(c, wish.nonce)
    (running,) = c.execute(
        "SELECT count(*) FROM wishes WHERE nonce = ? AND NOT done", (wish.nonce,)
    ).fetchone()
    if running >= _MOST_WISHES:
        raise QuotaError("the ticket has uploads enough that are unfinished", retry_after_s=_BUSY_S)
    c.execute(
        "INSERT INTO wishes VALUES (?, ?, ?, ?, 0)",
        (blob, storage, msgspec.msgpack.encode(wish), wish.nonce),
    )


def _check_unspent(c: sqlite3.Connection, nonce: str) -> None:
    if c.execute("SELECT 1 FROM spent WHERE nonce = ?", (nonce,)).fetchone():
        raise TicketSpentError("the ticket was used before")


def _forget(c: sqlite3.Connection, storage: str, blobs: tuple[UploadId, ...]) -> None:
    c.executemany(
        "DELETE FROM rubbish WHERE storage = ? AND blob = ?", [(storage, blob) for blob in blobs]
    )
    c.executemany("DELETE FROM wishes WHERE blob = ?", [(blob,) for blob in blobs])


def _token(c: sqlite3.Connection, storage: str, folder: str) -> str:
    other = c.execute(
        "SELECT storage FROM folders WHERE folder = ? AND storage <> ?", (folder, storage)
    ).fetchone()
    if other is not None:
        raise ConfigError(f"FILELOFT_STORAGES: {storage}: {folder} has the objects of {other[0]}")
    c.execute(
        "INSERT INTO folders VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET folder = excluded.folder",
        (storage, folder, secrets.token_hex(16)),
    )
    token = _known_token(c, storage)
    assert token is not None
    return token


def _known_token(c: sqlite3.Connection, storage: str) -> str | None:
    row = c.execute("SELECT token FROM folders WHERE storage = ?", (storage,)).fetchone()
    return None if row is None else str(row[0])


def _prune(c: sqlite3.Connection, now: float) -> None:
    # An upload in pieces may go on as long as it gets bytes: it must still find its ticket spent.
    c.execute(
        "DELETE FROM spent WHERE expires_at <= ? AND NOT EXISTS"
        " (SELECT 1 FROM wishes WHERE wishes.nonce = spent.nonce AND NOT done)",
        (now,),
    )
