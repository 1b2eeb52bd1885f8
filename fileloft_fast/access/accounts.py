"""Who has how much, and how often a grant was used: durable, and right for all workers together."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from fileloft_fast.database import Database
from fileloft_fast.errors import AccountsError, ForbiddenError, QuotaError, TooLargeError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from fileloft_fast.model import Permit, Quota, UploadId, UploadInfo

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS grants (
    name TEXT PRIMARY KEY, used INTEGER NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uploads (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, bytes INTEGER NOT NULL,
    running INTEGER NOT NULL, written_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS subjects (
    subject TEXT PRIMARY KEY, bytes INTEGER NOT NULL, running INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audits (one INTEGER PRIMARY KEY CHECK (one = 1), begun_at REAL NOT NULL);
CREATE TRIGGER IF NOT EXISTS added AFTER INSERT ON uploads BEGIN
    INSERT INTO subjects VALUES (new.subject, new.bytes, new.running) ON CONFLICT DO UPDATE
    SET bytes = bytes + new.bytes, running = running + new.running;
END;
CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE ON uploads BEGIN
    UPDATE subjects SET bytes = bytes - old.bytes + new.bytes,
    running = running - old.running + new.running WHERE subject = new.subject;
END;
CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON uploads BEGIN
    UPDATE subjects SET bytes = bytes - old.bytes, running = running - old.running
    WHERE subject = old.subject;
    DELETE FROM subjects WHERE subject = old.subject AND bytes = 0 AND running = 0;
END;
"""

_FULL_S: Final = 60
"""``Retry-After`` where only an upload that ends or goes makes room."""

_USED_UP: Final = "the token has made all the uploads that it may"

_AUDIT_MARGIN_S: Final = 600.0
"""An upload is written down before it is made, and made within this."""


def _failed() -> AccountsError:
    return AccountsError("the accounts cannot be written")


class Accounts:
    """The accounts in the file at *path*; see ``Database`` for what can go wrong."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, _failed)

    @property
    def used(self) -> bool:
        """Whether anything is written down."""
        return self._database.used

    async def close(self) -> None:
        """Close the file."""
        await self._database.close()

    async def reserve(self, permit: Permit, info: UploadInfo, *, sized: bool = True) -> None:
        """Count *info* as made, before it is; what it takes only where it is *sized*.

        Raises ForbiddenError where the token has made all its uploads, QuotaError, and
        TooLargeError where no waiting would help.
        """
        await self._database.run(lambda connection: _reserve(connection, permit, info, sized=sized))

    async def look(self, permit: Permit, info: UploadInfo) -> None:
        """Raise what ``reserve`` would, as things are now."""
        await self._database.run(lambda connection: _look(connection, permit, info))

    def cancel(self, permit: Permit, info: UploadInfo) -> None:
        """Take back what was reserved for an upload that nothing came of."""
        self._database.post(lambda connection: _cancel(connection, permit, info.id))

    async def grow(self, permit: Permit, info: UploadInfo, least: int, most: int | None) -> int:
        """Return how large *info*, whose length was deferred, may become: up to *most* bytes.

        It is counted as that large from now on. Raises QuotaError for less than *least*.
        """
        return await self._database.run(
            lambda connection: _grow(connection, permit.quota, info, least, most)
        )

    def settle(self, info: UploadInfo) -> None:
        """Count *info* as it is now."""
        row = _row(info, time.time())
        self._database.post(lambda connection: _settle(connection, row))

    def recount(self, info: UploadInfo) -> None:
        """Write *info* down as it is now, known or not."""
        row = _row(info, time.time())
        self._database.post(lambda connection: _put(connection, row))

    def release(self, upload: UploadId) -> None:
        """Give back what a removed upload had."""
        self._database.post(lambda connection: _release(connection, upload))

    async def begin_audit(self, every_s: float) -> bool:
        """Return whether it is this process that goes through all uploads now."""
        now = time.time()
        return await self._database.run(lambda connection: _begin_audit(connection, now, every_s))

    async def correct(self, seen: Sequence[Seen]) -> list[UploadId]:
        """Write down how uploads were; return those that were not known.

        What was written since one was looked at counts more.
        """
        rows = [_seen_row(*each) for each in seen]
        return await self._database.run(lambda connection: _correct(connection, rows))

    async def names(self) -> AsyncIterator[UploadId]:
        """Yield every upload that is written down."""
        last = ""
        while page := await self._database.run(partial(_page, after=last)):
            for upload in page:
                yield upload
            last = page[-1]

    async def end_audit(self, begun_at: float) -> None:
        """Forget uploads that an audit from *begun_at* on has not seen, and grants that ended."""
        await self._database.run(lambda connection: _end_audit(connection, begun_at))


_Row = tuple[str, str, int, int, float]
_SeenRow = tuple["UploadId", "_Row | None", float]
Seen: TypeAlias = "tuple[UploadId, UploadInfo | None, float]"
"""An upload, how it was, and when; None where that could not be told."""

_PAGE: Final = 1000
_INSERT: Final = "INSERT INTO uploads VALUES (?, ?, ?, ?, ?)"


def _row(info: UploadInfo, now: float) -> _Row:
    """Return the row of an upload: a promised length counts as if it were there."""
    size = info.offset if info.length is None else info.length
    return info.id, info.owner, size, 0 if info.complete else 1, now


def _seen_row(upload: UploadId, info: UploadInfo | None, looked_at: float) -> _SeenRow:
    return upload, None if info is None else _row(info, looked_at), looked_at


def _reserve(
    connection: sqlite3.Connection, permit: Permit, info: UploadInfo, *, sized: bool
) -> None:
    now = time.time()
    row = _row(info, now)
    _check_quota(connection, permit.quota, info.owner, row[2], running=row[3])
    if permit.uploads:
        _use(connection, permit)
    if sized:
        _put(connection, row)


def _look(connection: sqlite3.Connection, permit: Permit, info: UploadInfo) -> None:
    _, owner, size, running, _ = _row(info, 0.0)
    _check_quota(connection, permit.quota, owner, size, running=running)
    known = connection.execute(
        "SELECT used FROM grants WHERE name = ?", (permit.token_id,)
    ).fetchone()
    if permit.uploads and known is not None and known[0] >= permit.uploads:
        raise ForbiddenError(_USED_UP)


def _use(connection: sqlite3.Connection, permit: Permit) -> None:
    """Count a use of the token; what was made with it may be gone by now, and counts."""
    used = connection.execute(
        "INSERT INTO grants VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET used = used + 1"
        " WHERE used < ? RETURNING used",
        (permit.token_id, permit.expires_at, permit.uploads),
    ).fetchone()
    if used is None:
        raise ForbiddenError(_USED_UP)


def _cancel(connection: sqlite3.Connection, permit: Permit, upload: UploadId) -> None:
    connection.execute(
        "UPDATE grants SET used = used - 1 WHERE name = ? AND used > 0 AND ?",
        (permit.token_id, permit.uploads),
    )
    _release(connection, upload)


def _check_quota(
    connection: sqlite3.Connection, quota: Quota, subject: str, size: int, *, running: int
) -> None:
    if quota.bytes and size > quota.bytes:
        raise TooLargeError(f"more than the {quota.bytes} bytes that the subject may have")
    has_bytes, has_running = _totals(connection, subject)
    if quota.bytes and has_bytes + size > quota.bytes:
        raise QuotaError("the subject has all the bytes that it may", retry_after_s=_FULL_S)
    if quota.uploads and running and has_running >= quota.uploads:
        raise QuotaError("the subject has too many unfinished uploads", retry_after_s=_FULL_S)


def _totals(connection: sqlite3.Connection, subject: str) -> tuple[int, int]:
    found = connection.execute(
        "SELECT bytes, running FROM subjects WHERE subject = ?", (subject,)
    ).fetchone()
    return (0, 0) if found is None else (int(found[0]), int(found[1]))


def _grow(
    connection: sqlite3.Connection, quota: Quota, info: UploadInfo, least: int, most: int | None
) -> int:
    known = connection.execute("SELECT bytes FROM uploads WHERE id = ?", (info.id,)).fetchone()
    has = int(known[0]) if known else 0
    left = max(quota.bytes - _totals(connection, info.owner)[0] + has, 0)
    if least > left:
        raise QuotaError("the subject has all the bytes that it may", retry_after_s=_FULL_S)
    size = left if most is None else min(left, most)
    _put(connection, (info.id, info.owner, size, 1, time.time()))
    return size


def _put(connection: sqlite3.Connection, row: _Row) -> None:
    """Insert or replace a row; REPLACE by itself fires no trigger of DELETE."""
    connection.execute("DELETE FROM uploads WHERE id = ?", (row[0],))
    connection.execute(_INSERT, row)


def _settle(connection: sqlite3.Connection, row: _Row) -> None:
    connection.execute(
        "UPDATE uploads SET bytes = ?, running = ?, written_at = ? WHERE id = ?",
        (row[2], row[3], row[4], row[0]),
    )


def _release(connection: sqlite3.Connection, upload: UploadId) -> None:
    connection.execute("DELETE FROM uploads WHERE id = ?", (upload,))


def _begin_audit(connection: sqlite3.Connection, now: float, every_s: float) -> bool:
    begun = connection.execute(
        "INSERT INTO audits VALUES (1, ?) ON CONFLICT DO UPDATE SET begun_at = excluded.begun_at"
        " WHERE begun_at <= ? OR begun_at > ? RETURNING 1",
        (now, now - every_s, now),
    ).fetchone()
    return begun is not None


def _correct(connection: sqlite3.Connection, seen: Sequence[_SeenRow]) -> list[UploadId]:
    new = []
    for upload, row, looked_at in seen:
        known = connection.execute(
            "SELECT written_at FROM uploads WHERE id = ?", (upload,)
        ).fetchone()
        if row is None:
            connection.execute(
                "UPDATE uploads SET written_at = ? WHERE id = ? AND written_at < ?",
                (looked_at, upload, looked_at),
            )
        elif known is None:
            _put(connection, row)
            new.append(upload)
        elif known[0] <= looked_at:
            _put(connection, row)
    return new


def _page(connection: sqlite3.Connection, *, after: str) -> list[UploadId]:
    found = connection.execute(
        "SELECT id FROM uploads WHERE id > ? ORDER BY id LIMIT ?", (after, _PAGE)
    )
    return [row[0] for row in found]


def _end_audit(connection: sqlite3.Connection, begun_at: float) -> None:
    connection.execute("DELETE FROM uploads WHERE written_at < ?", (begun_at - _AUDIT_MARGIN_S,))
    connection.execute("DELETE FROM grants WHERE expires_at < ?", (begun_at - _AUDIT_MARGIN_S,))
