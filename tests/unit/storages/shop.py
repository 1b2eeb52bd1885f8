"""A storage in a folder as the server has it, for what can only be seen from inside."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from fileloft_fast.config import StorageSettings, SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.storages.catalogue import Catalogue
from fileloft_fast.storages.fs_shelf import FsShelf
from fileloft_fast.storages.janitor import Janitor
from fileloft_fast.storages.named import NamedStorage
from fileloft_fast.storages.reception import Reception
from fileloft_fast.stores import FsStore
from fileloft_fast.uploads import Locks
from fileloft_fast.uploads.intake import Intake

if TYPE_CHECKING:
    from pathlib import Path


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
