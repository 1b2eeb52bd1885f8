"""Chunk mode: files of uploads between two requests, so that a tail need not be fetched again."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from asyncio import Future

    from fileloft_fast.model import UploadId
    from fileloft_fast.stores import FsStore

log = logging.getLogger(__name__)


class _Kept(Struct, frozen=True):
    tag: str
    size: int


class Shelf:
    """The files of *spool* that nobody works on: at most *most*, of *most_bytes* together.

    The ones that were not asked for the longest go first. Losing a file loses nothing.
    """

    def __init__(self, spool: FsStore, *, most: int, most_bytes: int) -> None:
        self._spool = spool
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[UploadId, _Kept] = OrderedDict()
        self._leaving: dict[UploadId, Future[int]] = {}

    def put(self, upload: UploadId, tag: str, size: int) -> None:
        """Keep the file of *upload*, as the version *tag* of its record left it, if there is room.

        *size*: what it takes of the disk, about.
        """
        self._kept[upload] = _Kept(tag, size)
        self._bytes += size
        while self._kept and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            self._remove(next(iter(self._kept)))

    def take(self, upload: UploadId) -> str | None:
        """Return, once, the version that the file of *upload* is of, None where there is none."""
        kept = self._kept.pop(upload, None)
        if kept is None:
            return None
        self._bytes -= kept.size
        return kept.tag

    async def clear(self, upload: UploadId) -> None:
        """Remove what there is of *upload*; on return another file can be made."""
        while (leaving := self._leaving.get(upload)) is not None:
            await asyncio.wait([leaving])
        self._remove(upload)
        await asyncio.wait([self._leaving[upload]])

    async def close(self) -> None:
        """Wait for files that are being removed."""
        for leaving in tuple(self._leaving.values()):
            await asyncio.wait([leaving])

    def _remove(self, upload: UploadId) -> None:
        self.take(upload)
        name = upload.encode()
        engine, directory = self._spool.engine, self._spool.directory
        leaving = engine.remove(directory, [name + b".info", name])
        self._leaving[upload] = leaving
        leaving.add_done_callback(partial(self._on_removed, upload))

    def _on_removed(self, upload: UploadId, leaving: Future[int]) -> None:
        if self._leaving.get(upload) is leaving:
            del self._leaving[upload]
        if not leaving.cancelled() and leaving.exception() is not None:
            log.warning("a file was left", extra=fields(id=upload, error=leaving.exception()))
