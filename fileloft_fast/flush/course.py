"""Chunk mode: the record of an upload while one request of this replica works on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fileloft_fast.errors import UploadLockedError, UploadNotFoundError

if TYPE_CHECKING:
    from fileloft_fast.flush.checkpoint import Checkpoints, Version
    from fileloft_fast.flush.record import Record, Tail


class Course:
    """The newest version that this replica has read or written, and what it has tried to write.

    An answer that was lost may still have been a success: its nonce is recognised, so that the next
    write does not take it for another replica's.
    """

    def __init__(self, checkpoints: Checkpoints, version: Version) -> None:
        self.version = version
        self.failure: Exception | None = None
        """Why this replica cannot go on, where that is known."""
        self.written_at = asyncio.get_running_loop().time()
        self._checkpoints = checkpoints
        self._tried: set[str] = set()
        self._outdated: list[Tail] = []
        self._turn = asyncio.Lock()

    @property
    def record(self) -> Record:
        """The record in its newest version."""
        return self.version.record

    def wrote(self, version: Version) -> bool:
        """Whether *version* is what this request goes on from, or what it has tried to write."""
        return version.tag == self.version.tag or version.record.nonce in self._tried

    async def write(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of the record
        """Write the record with *changes*; what raises StoreError may be tried again.

        Raises UploadLockedError and UploadNotFoundError where others have changed it.
        """
        async with self._turn:
            record = self.record.renewed(**changes)
            assert record.info.offset >= self.record.info.offset, "an offset never goes back"
            self._tried.add(record.nonce)
            try:
                version = await self._checkpoints.write(self.version, record, self._tried)
            except (UploadLockedError, UploadNotFoundError) as error:
                self.failure = error
                raise
            named = {tail.key for tail in record.tails}
            self._outdated += [tail for tail in self.record.tails if tail.key not in named]
            self.version = version
            self.written_at = asyncio.get_running_loop().time()

    def take_outdated(self) -> list[Tail]:
        """Return tails that the record no longer names, once."""
        outdated, self._outdated = self._outdated, []
        return outdated
