"""What a declaration completes is safe before it is shown: ``.info`` says so after the bytes."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import StoreError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores import FsStore

if TYPE_CHECKING:
    from pathlib import Path

WAITING = UploadInfo(id=UploadId("a" * 32), offset=Offset(5), length=5, awaits_end=True)


class BadSector:
    """The engine, on a disk that cannot make the bytes of uploads safe, but all else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def close_file(self, descriptor: int, sync: int, *where: Any) -> Any:
        await self._engine.close_file(descriptor, 0, *where)
        if sync:
            raise OSError(errno.EIO, "Input/output error")


def test_an_end_that_cannot_be_made_safe_is_none(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Engine(asyncio.get_running_loop())
        disk = cast("Engine", BadSector(engine))
        store = FsStore(disk, str(tmp_path), sync=SyncMode.COMPLETE)
        await store.create(WAITING, b"hello")
        with pytest.raises(StoreError):
            await store.declare(await store.load(WAITING.id), 5, awaits_end=False)
        assert not (await store.load(WAITING.id)).info.complete
        engine.close()
        store.close()

    asyncio.run(scene())


@pytest.mark.parametrize("sync", SyncMode)
def test_a_declaration_that_completes_nothing_syncs_no_bytes(
    tmp_path: Path, sync: SyncMode
) -> None:
    async def scene() -> None:
        engine = Engine(asyncio.get_running_loop())
        store = FsStore(cast("Engine", BadSector(engine)), str(tmp_path), sync=sync)
        await store.create(replace(WAITING, length=None), b"hello")
        found = await store.declare(await store.load(WAITING.id), 9, awaits_end=False)
        assert (found.info.length, found.info.complete) == (9, False)
        engine.close()
        store.close()

    asyncio.run(scene())
