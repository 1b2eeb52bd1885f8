"""A replica that goes on with another's upload: its file is what the record counts, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import RemoteUnavailableError, StoreError, UploadLockedError
from fileloft_fast.flush.checkpoint import Checkpoints, Version
from fileloft_fast.flush.record import Record
from fileloft_fast.flush.takeover import Takeover, in_step
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores import FsStore
from fileloft_fast.stores.remote.objects import Piece, Receipt
from tests.stores.memory import MemoryObjects, crc32c_of

if TYPE_CHECKING:
    from pathlib import Path

ID: Final = UploadId("a" * 32)
INFO: Final = UploadInfo(id=ID, offset=Offset(18), length=None)


class Yard:
    """A replica's directory, and a bucket: 10 bytes in a part and 8 in two tails."""

    def __init__(self, engine: Engine, root: Path) -> None:
        self.objects = MemoryObjects()
        self.root = root
        self.path = root / ID
        self.spool = FsStore(engine, str(root), sync=SyncMode.NONE)
        self.checkpoints = Checkpoints(self.objects, "", clock=lambda: 0.0)
        self.takeover = Takeover(self.spool, self.checkpoints)

    async def upload(self) -> Version:
        """Put the upload into the bucket."""
        source = self.root / "source"
        source.write_bytes(bytes(10) + b"helloyou")
        with source.open("rb") as file:
            tails = [
                await self.checkpoints.put_tail(
                    ID, Piece(file.fileno(), start, len(data), crc32c_of(data))
                )
                for start, data in ((10, b"hello"), (15, b"you"))
            ]
        record = Record(info=INFO, receipts=(Receipt(1, 10, "etag", 0),), tails=tuple(tails))
        return await self.checkpoints.write(Version(record, None), record)


@asynccontextmanager
async def opened(root: Path) -> AsyncIterator[Yard]:
    engine = Engine(asyncio.get_running_loop())
    yard = Yard(engine, root)
    try:
        yield yard
    finally:
        engine.close()
        yard.spool.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


def test_the_tails_come_back_to_their_places_behind_a_hole(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as yard:
            version = await yard.upload()
            found = await yard.takeover.restore(version, INFO)
            assert found.info == found.local.info == INFO
            assert yard.path.read_bytes() == bytes(10) + b"helloyou"
            assert version.tag is not None
            assert in_step(version, version.tag, await yard.spool.load(ID))
            assert not in_step(version, "older", found.local)
            assert not in_step(version, version.tag, replace(found.local, marked=True))
            yard.path.write_bytes(bytes(10) + b"helloyou, unacknowledged")
            assert not in_step(version, version.tag, await yard.spool.load(ID))

    run(work())


def test_a_damaged_tail_is_an_error(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as yard:
            version = await yard.upload()
            yard.objects.bucket.damage(version.record.tails[1].key)
            with pytest.raises(StoreError, match="damaged"):
                await yard.takeover.restore(version, INFO)

    run(work())


def test_a_store_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as yard:
            version = await yard.upload()
            yard.objects.faults.refuse("get")
            with pytest.raises(RemoteUnavailableError):
                await yard.takeover.restore(version, INFO)

    run(work())


def test_a_tail_that_is_gone_because_another_replica_went_on_is_no_loss(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as yard:
            version = await yard.upload()
            await yard.checkpoints.drop(version.record.tails)
            with pytest.raises(StoreError, match="lost a tail"):
                await yard.takeover.restore(version, INFO)
            await yard.checkpoints.write(version, version.record.renewed())
            await yard.spool.remove(ID)
            with pytest.raises(UploadLockedError):
                await yard.takeover.restore(version, INFO)

    run(work())
