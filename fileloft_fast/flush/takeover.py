"""Chunk mode: how a replica comes to go on with an upload that another one has begun.

The record says what counts. Parts lie in the session, where nobody has to look at them; the bytes
behind them come back out of the tails into a file of this replica's, at their place.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.dataplane import SYNC_NONE, Digest
from fileloft_fast.errors import ObjectNotFoundError, StoreError, UploadLockedError
from fileloft_fast.flush.found import SpoolFound
from fileloft_fast.model import Offset
from fileloft_fast.stores.fs.failures import store_error
from fileloft_fast.stores.fs.info_file import NO_HASHES

if TYPE_CHECKING:
    from fileloft_fast.flush.checkpoint import Checkpoints, Version
    from fileloft_fast.flush.record import Tail
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.stores import FsStore
    from fileloft_fast.stores.fs.found import FsFound


def in_step(version: Version, tag: str, local: FsFound) -> bool:
    """Whether the file *local*, which the version *tag* left, holds what *version* counts.

    One of another version has holes where this one's tails may begin, so nothing of it is kept.
    """
    if tag != version.tag or local.marked:
        return False
    return local.info.offset == version.record.info.offset


class Takeover:
    """Makes files in *spool* out of what *checkpoints* know."""

    def __init__(self, spool: FsStore, checkpoints: Checkpoints) -> None:
        self._spool = spool
        self._checkpoints = checkpoints

    async def restore(self, version: Version, info: UploadInfo) -> SpoolFound:
        """Make the file of an upload that has none here: what *version* counts behind its parts.

        Raises UploadLockedError where another replica goes on with the upload meanwhile, StoreError
        (the disk's, or the store's). The caller removes what is left of the file then.
        """
        await self._spool.create(replace(info, offset=Offset(0)), b"")
        try:
            await self._fill(version)
        except ObjectNotFoundError as error:
            raise await self._why_gone(version) from error
        except OSError as error:
            raise store_error(error) from error
        local = await self._spool.load(info.id)
        if local.slot is not None:
            await self._spool.keep_hashes(local, version.record.running or NO_HASHES)
            local = await self._spool.load(info.id)
        return SpoolFound(info, replace(local, info=info))

    async def _fill(self, version: Version) -> None:
        engine, directory = self._spool.engine, self._spool.directory
        name = version.record.info.id.encode()
        descriptor, _ = await engine.open(directory, name, os.O_RDWR)
        try:
            for tail in version.record.tails:
                await self._fetch(descriptor, tail)
        finally:
            await engine.close_file(descriptor, SYNC_NONE)
        await engine.truncate(directory, name, version.record.info.offset, SYNC_NONE)

    async def _fetch(self, descriptor: int, tail: Tail) -> None:
        """Bring *tail* to its place. Raises StoreError where it is not what was put."""
        digest = Digest("crc32c")
        at = tail.start
        pieces = self._checkpoints.objects.get(tail.key, 0, tail.size)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                at += await self._spool.engine.write(descriptor, piece, at, digest)
        if at != tail.end or int.from_bytes(digest.digest(), "big") != tail.crc32c:
            raise StoreError(f"{tail.key} is damaged")

    async def _why_gone(self, version: Version) -> Exception:
        """Return why a tail is gone: a newer record, or a loss."""
        now = await self._checkpoints.read(version.record.info.id)
        if now is None or now.tag != version.tag:
            return UploadLockedError("another replica has gone on with the upload")
        return StoreError("the store has lost a tail that the record names")
