"""The audit: what it puts right, and what it leaves because somebody knows better."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from fileloft_fast.access.accounts import Accounts
from fileloft_fast.access.guard import Access
from fileloft_fast.access.rate import Rates
from fileloft_fast.errors import RemoteUnavailableError, StoreError, UploadNotFoundError
from fileloft_fast.model import Offset, Operation, Permit, Quota, UploadId, UploadInfo

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores import AnyStore

QUOTA = Quota(bytes=1000)


class Shelf:
    """A store of infos; *after* is called after each look, *errors* are what one raises."""

    def __init__(self, *infos: UploadInfo) -> None:
        self.infos = {info.id: info for info in infos}
        self.after: Callable[[UploadId], object] = lambda _: None
        self.errors: dict[UploadId, Exception] = {}
        self.looks = 0

    @property
    def store(self) -> AnyStore:
        return cast("AnyStore", self)

    async def names(self) -> AsyncIterator[UploadId]:
        for upload in tuple(self.infos):
            yield upload

    async def load(self, upload: UploadId) -> Any:
        self.looks += 1
        if upload in self.errors:
            raise self.errors[upload]
        if upload not in self.infos:
            raise UploadNotFoundError("none")
        info = self.infos[upload]
        self.after(upload)
        return cast("Any", type("Found", (), {"info": info}))


def upload(name: str, length: int | None = 10, offset: int = 0) -> UploadInfo:
    return UploadInfo(id=UploadId(name), offset=Offset(offset), length=length, owner="ann")


def permit(quota: Quota = QUOTA, uploads: int = 0) -> Permit:
    return Permit(
        subject="ann",
        operations=frozenset(Operation),
        expires_at=1.0,
        uploads=uploads,
        token_id="t",
        quota=quota,
    )


def rows(path: Path, query: str = "SELECT subject, bytes, running FROM subjects") -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def run(
    path: Path, work: Callable[[Accounts, Access], Coroutine[Any, Any, None]], quota: Quota = QUOTA
) -> None:
    """Do *work* with accounts and a guard of them; on return everything is written down."""

    async def scene() -> None:
        accounts = Accounts(path)
        await work(accounts, Access(None, accounts, Rates(), quota))
        await accounts.close()

    asyncio.run(scene())


def test_what_a_request_holds_is_not_given_back_while_it_runs(tmp_path: Path) -> None:
    """It could be promised to another one."""
    path = tmp_path / "access.db"
    deferred = upload("a", None)

    async def work(accounts: Accounts, access: Access) -> None:
        await accounts.grow(permit(), deferred, 0, None)
        shelf = Shelf(replace(deferred, offset=Offset(1)))
        await access.audit(shelf.store, lambda _: True, 0)
        assert rows(path) == [("ann", 1000, 1)]
        await access.audit(shelf.store, lambda _: False, 0)

    run(path, work)
    assert rows(path) == [("ann", 1, 1)]


def test_what_is_written_down_meanwhile_counts_more(tmp_path: Path) -> None:
    path = tmp_path / "access.db"

    async def work(accounts: Accounts, access: Access) -> None:
        await accounts.reserve(permit(), upload("a"))
        shelf = Shelf(upload("a"))
        shelf.after = lambda _: access.settle(upload("a", 10, 10))
        await access.audit(shelf.store, lambda _: False, 0)

    run(path, work)
    assert rows(path) == [("ann", 10, 0)]


def test_what_is_removed_meanwhile_stays_away(tmp_path: Path) -> None:
    path = tmp_path / "access.db"

    async def work(accounts: Accounts, access: Access) -> None:
        await accounts.reserve(permit(), upload("a"))
        shelf = Shelf(upload("a"), upload("b", 7))

        def remove(name: UploadId) -> None:
            if name == "a" and shelf.infos.pop(name, None) is not None:
                access.release(name)

        shelf.after = remove
        await access.audit(shelf.store, lambda _: False, 0)

    run(path, work)
    assert rows(path) == [("ann", 7, 1)]


def test_what_cannot_be_read_gives_nothing_back(tmp_path: Path) -> None:
    path = tmp_path / "access.db"

    async def work(accounts: Accounts, access: Access) -> None:
        for name in ("a", "b"):
            await accounts.reserve(permit(), upload(name))
        shelf = Shelf(upload("a"), upload("b"))
        shelf.errors = {UploadId("a"): StoreError("damaged")}
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE uploads SET written_at = ?", (time.time() - 9999,))
        connection.close()
        await access.audit(shelf.store, lambda _: False, 0)
        assert rows(path) == [("ann", 20, 2)]
        shelf.errors = {UploadId("a"): RemoteUnavailableError("away")}
        with pytest.raises(RemoteUnavailableError):
            await access.audit(shelf.store, lambda _: False, 0)

    run(path, work)
    assert rows(path) == [("ann", 20, 2)]


def test_what_only_tokens_speak_of_is_put_right_too(tmp_path: Path) -> None:
    """Of a crash between the count and the upload, its subject must not pay for ever."""
    path = tmp_path / "access.db"

    async def work(accounts: Accounts, access: Access) -> None:
        for name in ("a", "crashed"):
            await accounts.reserve(permit(), upload(name))
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("UPDATE uploads SET written_at = ?", (time.time() - 9999,))
        connection.close()
        shelf = Shelf(upload("a"), upload("of-somebody-without-a-quota"))
        await access.audit(shelf.store, lambda _: False, 0)
        assert shelf.looks == 2, "those that are counted"

    run(path, work, Quota())
    assert rows(path) == [("ann", 10, 1)]


def test_grants_that_ended_are_forgotten_where_there_are_no_quotas(tmp_path: Path) -> None:
    """Each upload brings one; and it looks at no upload for that."""
    path = tmp_path / "access.db"

    async def work(accounts: Accounts, access: Access) -> None:
        async with access.counted(permit(Quota(), uploads=1), upload("a")):
            pass
        assert rows(path, "SELECT name, used FROM grants") == [("t", 1)]
        assert accounts.used
        shelf = Shelf(upload("a"))
        await access.audit(shelf.store, lambda _: False, 0)
        assert shelf.looks == 0

    run(path, work, Quota())
    assert rows(path, "SELECT name, used FROM grants") == []
    assert rows(path) == []


def test_many_uploads_are_put_right(tmp_path: Path) -> None:
    path = tmp_path / "access.db"

    async def work(accounts: Accounts, access: Access) -> None:
        shelf = Shelf(*(upload(f"u{n}", 1) for n in range(401)))
        await access.audit(shelf.store, lambda _: False, 0)
        assert [name async for name in accounts.names()] == sorted(shelf.infos)

    run(path, work)
    assert rows(path) == [("ann", 401, 401)]


def test_it_rests_also_where_nobody_owns_what_it_looks_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    async def work(_: Accounts, access: Access) -> None:
        shelf = Shelf(*(replace(upload(str(number)), owner="") for number in range(1000)))
        monkeypatch.setattr(asyncio, "sleep", rest)
        await access.audit(shelf.store, lambda _: False, 0)
        monkeypatch.undo()
        assert shelf.looks == 1000

    run(tmp_path / "access.db", work)
    assert len(rests) >= 4
