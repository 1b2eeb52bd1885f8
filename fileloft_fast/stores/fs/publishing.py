"""A file-system store whose finished uploads can appear under a second name, by a hard link."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final

from fileloft_fast.config import SyncMode
from fileloft_fast.errors import StoreError, UploadExistsError, UploadNotFoundError
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.fs.store import FsStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.model import UploadId, UploadInfo

_TAKEN: Final = "the storage path that a hook chose is taken"

# ENOTDIR, ELOOP: a part of the path is a file, or a symbolic link, which may lead anywhere.
_NO_FOLDER: Final = frozenset({errno.ENOTDIR, errno.ELOOP})

# What no later try would mend, either: the upload stays where it is, and its events are told.
_NEVER: Final = frozenset(
    {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.ENAMETOOLONG}
)


class PublishingStore(FsStore):
    """An ``FsStore`` that links ``{id}`` to ``info.path`` too, and removes both names together.

    Paths are walked folder by folder and never through a symbolic link.
    """

    async def check_path(self, path: str) -> None:
        """See ``hooks.publisher.Publisher``."""
        loop = asyncio.get_running_loop()
        try:
            taken = await loop.run_in_executor(None, self._is_taken, path)
        except OSError as error:
            raise _path_error(error) from error
        if taken:
            raise UploadExistsError(_TAKEN)

    async def publish(self, info: UploadInfo) -> None:
        """See ``hooks.publisher.Publisher``; the name is as durable as ``FILELOFT_SYNC`` says."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self._link, info.id, info.path)
        except OSError as error:
            raise _path_error(error) from error

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

    def _is_taken(self, path: str) -> bool:
        *folders, name = path.split("/")
        with ExitStack() as opened:
            try:
                folder = self._walk(folders, opened)[-1]
                os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return False
        return True

    def _link(self, upload: UploadId, path: str) -> None:
        *folders, name = path.split("/")
        with ExitStack() as opened:
            walked = self._walk(folders, opened, make=True)
            try:
                os.link(
                    upload,
                    name,
                    src_dir_fd=self.directory,
                    dst_dir_fd=walked[-1],
                    follow_symlinks=False,
                )
            except FileExistsError:
                if not self._is_same(upload, name, walked[-1]):
                    raise
            if self.sync is not SyncMode.NONE:
                for folder in reversed(walked):
                    os.fsync(folder)

    def _unlink(self, upload: UploadId, path: str) -> None:
        """Take the name away, unless it is somebody else's by now."""
        *folders, name = path.split("/")
        with ExitStack() as opened:
            try:
                folder = self._walk(folders, opened)[-1]
                if self._is_same(upload, name, folder):
                    os.unlink(name, dir_fd=folder)
            except OSError as error:
                if error.errno not in {errno.ENOENT, *_NO_FOLDER}:
                    raise

    def _walk(
        self, folders: Sequence[str], opened: ExitStack, *, make: bool = False
    ) -> Sequence[int]:
        """Return descriptors of the data directory and of *folders*, each one below the one before.

        Raises OSError: of ``_NO_FOLDER`` where one is none.
        """
        walked = [self.directory]
        for folder in folders:
            if make:
                _ensure_folder(folder, walked[-1])
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            walked.append(os.open(folder, flags, dir_fd=walked[-1]))
            opened.callback(os.close, walked[-1])
        return walked

    def _is_same(self, upload: UploadId, name: str, folder: int) -> bool:
        try:
            one = os.stat(upload, dir_fd=self.directory, follow_symlinks=False)
            other = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(one, other)


def _ensure_folder(name: str, parent: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, mode=0o700, dir_fd=parent)


def _path_error(error: OSError) -> StoreError | UploadExistsError:
    """Return what a request ends with whose path cannot be had."""
    if error.errno == errno.EEXIST or error.errno in _NO_FOLDER:
        return UploadExistsError(_TAKEN)
    if error.errno in _NEVER:
        return UploadExistsError(f"there can be no such path: {os.strerror(error.errno or 0)}")
    return store_error(error)
