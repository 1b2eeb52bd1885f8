"""A file-system store whose finished uploads can appear under a second name, by a hard link."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fileloft_fast.config import SyncMode
from fileloft_fast.errors import StoreError, UploadExistsError, UploadNotFoundError
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.fs.store import FsStore

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId, UploadInfo


class PublishingStore(FsStore):
    """An ``FsStore`` that links ``{id}`` to ``info.path`` too, and removes both names together."""

    async def check_path(self, path: str) -> None:
        """See ``hooks.publisher.Publisher``."""
        loop = asyncio.get_running_loop()
        if await loop.run_in_executor(None, os.path.lexists, self._root / path):
            raise UploadExistsError("the storage path that a hook chose is taken")

    async def publish(self, info: UploadInfo) -> None:
        """See ``hooks.publisher.Publisher``; the name is as durable as ``FILELOFT_SYNC`` says."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self._link, info.id, info.path)
        except OSError as error:
            raise store_error(error) from error

    async def remove(self, upload: UploadId) -> bool:
        """Remove the second name first; see ``Store``."""
        try:
            path = (await self.load(upload)).info.path
        except (UploadNotFoundError, StoreError):
            path = ""  # what is left of it can be removed all the same
        if path:
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(None, self._unlink, upload, path)
            except OSError as error:
                raise store_error(error) from error
        return await super().remove(upload)

    @property
    def _root(self) -> Path:
        return Path(self._path)

    def _link(self, upload: UploadId, path: str) -> None:
        source, target = self._root / upload, self._root / path
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.link(source, target, follow_symlinks=False)
        except (FileExistsError, NotADirectoryError) as error:
            if not _is_same(source, target):
                raise UploadExistsError("the storage path that a hook chose is taken") from error
        if self.sync is not SyncMode.NONE:
            for folder in target.parents:
                _sync(folder)
                if folder == self._root:
                    return

    def _unlink(self, upload: UploadId, path: str) -> None:
        """Take the name away, unless it is somebody else's by now."""
        source, target = self._root / upload, self._root / path
        if _is_same(source, target):
            target.unlink(missing_ok=True)


def _is_same(source: Path, target: Path) -> bool:
    try:
        return os.path.samestat(source.lstat(), target.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
