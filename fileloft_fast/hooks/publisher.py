"""Where finished bytes appear besides, by a hook's ``ChangeFileInfo.Storage.Path``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo


class Publisher(Protocol):
    """What a store can do that puts finished uploads under other names; nothing is overwritten."""

    async def check_path(self, path: str) -> None:
        """Raise UploadExistsError where something has that name already."""

    async def publish(self, info: UploadInfo) -> None:
        """Let the bytes of *info*, which is complete, appear at its path; again is no error.

        Raises UploadExistsError where something else has the name, StoreError.
        """
