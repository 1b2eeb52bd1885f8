"""A bucket with a clock that stands, and one replica that tidies it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from fileloft_fast.flush.orphans import Orphans
from fileloft_fast.flush.record import Record, record_key, render_record
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.remote.objects import Attributes
from tests.stores.memory import Bucket, MemoryObjects

ID: Final = UploadId("0123456789abcdef" * 2)
OTHER: Final = UploadId("f" * 32)
PREFIX: Final = "uploads/"
KEY: Final = PREFIX + ID
MINE: Final = "my-spool"
ANOTHER: Final = "another"
HOUR: Final = 3600.0
START: Final = 1_800_000_000.0
ANY: Final = Attributes()


class Yard:
    """A bucket whose clock stands, and one replica that tidies."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self.now = START
        self.prefix = prefix
        self.bucket = Bucket(clock=lambda: self.now)
        self.objects = MemoryObjects(self.bucket)
        self.orphans = Orphans(self.objects, prefix, owner=MINE, min_age_s=HOUR)
        self.local: dict[UploadId, Collection[str]] = {}

    def key(self, upload: UploadId = ID) -> str:
        return self.prefix + upload

    def session(self, key: str = KEY) -> str:
        return self.bucket.open_session(key, ANY)

    def record(self, upload: UploadId = ID, **fields: object) -> None:
        info = UploadInfo(id=upload, offset=Offset(0), length=100)
        record = Record(info=info, **fields)  # type: ignore[arg-type]
        self.put(record_key(self.prefix, upload), render_record(record))

    def put(self, key: str, content: bytes = b"x", attributes: Attributes = ANY) -> None:
        self.bucket.store(key, content, attributes, None)

    def abort(self, after_s: float = HOUR + 1) -> int:
        """Tidy the sessions so many seconds later."""
        self.now += after_s
        return asyncio.run(self.orphans.abort_sessions(self.local.get, self.now))

    def delete(self, after_s: float = HOUR + 1) -> int:
        self.now += after_s
        return asyncio.run(self.orphans.delete_strays(self.now))

    @property
    def sessions(self) -> list[str]:
        return list(self.bucket.sessions)

    @property
    def keys(self) -> set[str]:
        return set(self.bucket.objects)
