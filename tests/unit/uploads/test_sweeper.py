"""The sweeper: one bad file does not stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from fileloft_fast.errors import StoreError, UploadNotFoundError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.uploads import Locks, Sweeper
from fileloft_fast.uploads.expiry import Expiry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fileloft_fast.stores import AnyStore


class Found:
    """An upload that expired long ago."""

    def __init__(self, upload: UploadId) -> None:
        self.info = UploadInfo(id=upload, offset=Offset(0), length=5, expires_at=1.0)


class Shelf:
    """A store of expired uploads, some of which cannot be removed."""

    def __init__(self, uploads: Sequence[str], stuck: frozenset[str]) -> None:
        self.uploads = [UploadId(name) for name in uploads]
        self._stuck = stuck

    async def names(self) -> AsyncIterator[UploadId]:
        for name in tuple(self.uploads):
            yield name

    async def load(self, upload: UploadId) -> Found:
        if upload not in self.uploads:
            raise UploadNotFoundError("no such upload")
        return Found(upload)

    async def remove(self, upload: UploadId) -> bool:
        if upload in self._stuck:
            raise StoreError("the disk failed: Structure needs cleaning")
        self.uploads.remove(upload)
        return True


def test_an_upload_that_cannot_be_removed_does_not_save_those_behind_it() -> None:
    async def scene() -> None:
        shelf = Shelf(["a", "b", "c", "d"], frozenset({"a", "c"}))
        locks = Locks(1)
        sweeper = Sweeper(cast("AnyStore", shelf), locks, Expiry(1), interval_s=60)
        assert await sweeper.sweep() == (2, 4)
        assert shelf.uploads == ["a", "c"]
        assert not locks.queues

    asyncio.run(scene())
