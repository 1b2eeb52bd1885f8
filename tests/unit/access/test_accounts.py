"""Accounts: right for several processes at once, and closed where they cannot be written."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast import database
from fileloft_fast.access.accounts import Accounts
from fileloft_fast.access.rate import Rates
from fileloft_fast.database import _BATCH, _transact
from fileloft_fast.errors import AccountsError, ForbiddenError, QuotaError
from fileloft_fast.model import Offset, Operation, Permit, Quota, UploadId, UploadInfo

if TYPE_CHECKING:
    from pathlib import Path


def upload(name: str, length: int | None = 10) -> UploadInfo:
    return UploadInfo(id=UploadId(name), offset=Offset(0), length=length, owner="ann")


def permit(*, uploads: int = 0, quota: Quota | None = None) -> Permit:
    return Permit(
        subject="ann",
        operations=frozenset(Operation),
        expires_at=4e9,
        uploads=uploads,
        token_id="t",
        quota=quota or Quota(),
    )


def totals(path: Path) -> list[tuple[str, int, int]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT * FROM subjects").fetchall()
    finally:
        connection.close()


def test_processes_share_one_count(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "access.db"
        both = Accounts(path), Accounts(path)
        limited = permit(uploads=30, quota=Quota(bytes=300))
        made = [both[n % 2].reserve(limited, upload(f"u{n}")) for n in range(100)]
        results = await asyncio.gather(*made, return_exceptions=True)
        assert results.count(None) == 30
        refusals = [error for error in results if error is not None]
        assert {type(error) for error in refusals} <= {ForbiddenError, QuotaError}
        for accounts in both:
            await accounts.close()
        assert totals(path) == [("ann", 300, 30)]
        assert path.stat().st_mode & 0o777 == 0o600

    asyncio.run(scene())


def test_a_file_that_another_process_makes_is_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        other = sqlite3.connect(tmp_path / "access.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        asyncio.get_running_loop().call_later(0.2, other.execute, "COMMIT")
        accounts = Accounts(tmp_path / "access.db")
        assert await accounts.begin_audit(0)
        await accounts.close()
        other.close()

    asyncio.run(scene())


def test_what_is_released_or_cancelled_is_given_back(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "access.db"
        accounts = Accounts(path)
        assert not accounts.used
        once = permit(uploads=1)
        await accounts.reserve(once, upload("a"))
        accounts.cancel(once, upload("a"))
        await accounts.reserve(once, upload("b"))
        accounts.release(UploadId("b"))
        accounts.release(UploadId("b"))
        with pytest.raises(ForbiddenError):
            await accounts.reserve(once, upload("c"))
        await accounts.close()
        assert totals(path) == []

    asyncio.run(scene())


def test_an_audit_is_one_process_work_and_forgets_what_is_gone(tmp_path: Path) -> None:
    async def scene() -> None:
        path = tmp_path / "access.db"
        accounts, other = Accounts(path), Accounts(path)
        assert await accounts.begin_audit(60)
        assert not await other.begin_audit(60)
        assert await other.begin_audit(0)
        now = time.time()
        await accounts.correct([(name, upload(name, 5), now) for name in map(UploadId, "ab")])
        assert await accounts.correct([(UploadId("b"), upload("b", 12), now + 1)]) == []
        await accounts.end_audit(0)
        assert totals(path) == [("ann", 17, 2)]
        await accounts.end_audit(5e9)
        assert totals(path) == []
        await accounts.close()
        await other.close()

    asyncio.run(scene())


def test_what_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    async def scene() -> None:
        accounts = Accounts(tmp_path / "missing" / "access.db")
        with pytest.raises(AccountsError):
            await accounts.reserve(permit(uploads=1), upload("a"))
        (tmp_path / "missing").mkdir()
        await accounts.reserve(permit(uploads=1), upload("a"))
        await accounts.close()
        (tmp_path / "broken").write_bytes(b"not a database" * 100)
        broken = Accounts(tmp_path / "broken")
        with pytest.raises(AccountsError):
            await broken.reserve(permit(), upload("a"))
        await broken.close()

    asyncio.run(scene())


def test_a_file_that_is_locked_holds_nobody_up_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes while it is waited for hears of it with those who came before."""

    async def scene() -> None:
        path = tmp_path / "access.db"
        accounts = Accounts(path)
        assert await accounts.begin_audit(60)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        rounds, current = [], accounts._database._current

        def counted(connection: sqlite3.Connection | None) -> sqlite3.Connection:
            rounds.append(connection)
            return current(connection)

        monkeypatch.setattr(accounts._database, "_current", counted)
        made = [accounts.reserve(permit(), upload(f"u{n}")) for n in range(5 * _BATCH)]
        results = await asyncio.gather(*made, return_exceptions=True)
        assert {type(each) for each in results} == {AccountsError}
        assert len(rounds) <= 2  # each of them a wait; on a slow machine some come in the second
        other.execute("COMMIT")
        other.close()
        await accounts.reserve(permit(), upload("a"))
        await accounts.close()
        assert totals(path) == [("ann", 10, 1)]

    monkeypatch.setattr(database, "_BUSY_S", 1.0)
    asyncio.run(scene())


@pytest.mark.parametrize("damage", [b"not a database" * 1000, None], ids=["broken", "removed"])
def test_a_file_that_is_taken_away_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    """While the server runs: what it wrote into a file without a name would be lost."""

    async def scene() -> None:
        path = tmp_path / "access.db"
        files = [path, tmp_path / "access.db-wal", tmp_path / "access.db-shm"]
        accounts = Accounts(path)
        await accounts.reserve(permit(), upload("a"))
        if damage is not None:
            for file in files:
                file.write_bytes(damage)
            with pytest.raises(AccountsError):
                await accounts.reserve(permit(), upload("b"))
        for file in files:
            file.unlink(missing_ok=True)
        await accounts.reserve(permit(), upload("c", 7))
        other = Accounts(path)
        await other.reserve(permit(), upload("d", 1))
        await other.close()
        await accounts.close()
        assert totals(path) == [("ann", 8, 2)]

    asyncio.run(scene())


def test_a_full_disk_is_called_so() -> None:
    """SQLite ends the transaction by itself then; there is none to be taken back."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (b BLOB)")
    connection.execute("PRAGMA max_page_count = 3")
    future: Any = None
    with pytest.raises(sqlite3.OperationalError, match="full"):
        _transact(
            connection,
            [(lambda c: c.execute("INSERT INTO t VALUES (zeroblob(99999))"), future)],
            "BEGIN IMMEDIATE",
        )
    connection.close()


def test_a_bucket_fills_with_time() -> None:
    rates = Rates()
    for _ in range(2):
        rates.take("ann", 2.0, now=100.0)
    with pytest.raises(QuotaError) as refused:
        rates.take("ann", 2.0, now=100.2)
    assert refused.value.retry_after_s == 1
    rates.take("bob", 2.0, now=100.2)
    rates.take("ann", 2.0, now=100.6)
    rates.take("cyd", 0.1, now=200.0)
    with pytest.raises(QuotaError) as refused:
        rates.take("cyd", 0.1, now=200.0)
    assert refused.value.retry_after_s == 10
    rates.take("dot", 5e-324, now=0.0)
    with pytest.raises(QuotaError) as refused:
        rates.take("dot", 5e-324, now=0.0)
    assert refused.value.retry_after_s == 86_400
