"""Uploads that nothing shows any more: written down where they become so, deleted soon after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

RUBBISH_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rubbish (
    storage TEXT NOT NULL, blob TEXT NOT NULL, PRIMARY KEY (storage, blob)
) WITHOUT ROWID;
"""


def discard(c: sqlite3.Connection, storage: str, blob: str) -> None:
    """Have *blob* deleted; in the same transaction, so that no crash leaves it lying about."""
    c.execute("INSERT OR IGNORE INTO rubbish VALUES (?, ?)", (storage, blob))
