"""What is deleted when: what nothing shows, and nothing that something may show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import StorageSettings, SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import CatalogueError, StoreError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.storages.catalogue import Catalogue
from fileloft_fast.storages.entry import Entry, Wish
from fileloft_fast.storages.fs_shelf import FsShelf
from fileloft_fast.storages.janitor import Janitor
from fileloft_fast.storages.named import NamedStorage
from fileloft_fast.storages.reception import Reception
from fileloft_fast.stores import FsStore
from fileloft_fast.uploads import Locks
from fileloft_fast.uploads.intake import Intake

if TYPE_CHECKING:
    from pathlib import Path

BLOBS: Final = [UploadId(letter * 32) for letter in "abc"]


class Shop:
    """A storage in a folder, with its janitor."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.store = FsStore(engine, str(root / "folder"), sync=SyncMode.NONE)
        self.catalogue = Catalogue(root / "storages.db")
        intake = Intake(store=self.store, algorithms={}, idle_ms=1000, min_rate=0)
        reception = Reception(self.store, Locks(1.0), intake, min_free_bytes=0)
        shelf = FsShelf("public", self.store, self.catalogue)
        settings = StorageSettings(name="public")
        self.storage = NamedStorage(settings, shelf, reception, self.catalogue)
        self.janitor = Janitor(self.storage, every_s=0.0, ttl_s=0.0)

    async def stage(self, blob: UploadId, path: str) -> UploadInfo:
        """Have an upload of five bytes in the folder, for *path*."""
        info = UploadInfo(id=blob, offset=Offset(5), length=5, path=path)
        await self.store.create(info, b"bytes")
        return info

    async def there(self) -> list[UploadId]:
        return sorted([name async for name in self.store.names()])


def play(root: Path, scene: Callable[[Shop], Awaitable[None]]) -> None:
    async def played() -> None:
        engine = Engine(asyncio.get_running_loop())
        shop = Shop(engine, root)
        try:
            await scene(shop)
        finally:
            await shop.catalogue.close()
            engine.close()
            shop.store.close()

    asyncio.run(played())


def test_what_cannot_be_deleted_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(shop: Shop) -> None:
        for blob in BLOBS:
            await shop.storage.settle(Wish(path=f"a/{blob}"), await shop.stage(blob, f"a/{blob}"))
            assert await shop.storage.delete(f"a/{blob}")
        remove = shop.store.remove

        async def failing(upload: UploadId) -> bool:
            if upload == BLOBS[0]:
                raise StoreError("the disk has a bad sector")
            return await remove(upload)

        monkeypatch.setattr(shop.store, "remove", failing)
        await shop.janitor.clean()
        assert await shop.there() == BLOBS[:1]
        monkeypatch.setattr(shop.store, "remove", remove)
        await shop.janitor.clean()
        assert await shop.there() == []

    play(tmp_path, scene)


def test_what_the_catalogue_may_show_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit whose sync fails can be in SQLite's log all the same."""

    async def scene(shop: Shop) -> None:
        commit = shop.catalogue.await_verification

        async def committed_and_failed(storage: str, entry: Entry, wish: Wish) -> None:
            await commit(storage, entry, wish)
            raise CatalogueError("the disk is full")

        monkeypatch.setattr(shop.catalogue, "await_verification", committed_and_failed)
        wish = Wish(path="a/b", nonce="f" * 32, expires_at=time.time() + 60)
        with pytest.raises(CatalogueError):
            await shop.storage.settle(wish, await shop.stage(BLOBS[0], "a/b"))
        await shop.janitor.clean()
        assert await shop.storage.verify("a/b")
        assert await shop.there() == BLOBS[:1]

    play(tmp_path, scene)


def test_what_nothing_shows_is_deleted(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        shown = await shop.storage.settle(Wish(path="a/b"), await shop.stage(BLOBS[0], "a/b"))
        await shop.stage(BLOBS[1], "a/b")
        assert await shop.janitor.clean() == 1
        assert await shop.there() == [shown.blob]

    play(tmp_path, scene)
