"""What the service tells of an upload while somebody still works on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.model import Offset, RequestHead, UploadInfo
from fileloft_fast.stores import FsStore
from fileloft_fast.uploads import Locks
from fileloft_fast.uploads.expiry import Expiry
from fileloft_fast.uploads.intake import Intake
from fileloft_fast.uploads.resuming import ResumingService
from tests.unit.sides import Side
from tests.unit.tus.heads import ID, UPLOAD, head, patch, rules

if TYPE_CHECKING:
    from pathlib import Path


class SlowDisk:
    """The engine, on a disk that takes its time to sync: until *gate* is open."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.syncs = asyncio.Event()
        self.gate = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    async def close_file(self, *arguments: Any) -> Any:
        self.syncs.set()
        await self.gate.wait()
        return await self.engine.close_file(*arguments)


def body_of(request: RequestHead, data: bytes) -> RequestBody:
    body = RequestBody(Side(), asyncio.get_running_loop(), request)
    body.feed(data)
    return body


def service_of(store: FsStore, locks: Locks) -> ResumingService:
    tus = rules()
    intake = Intake(store=store, algorithms=tus.algorithms, idle_ms=1000, min_rate=0)
    return ResumingService(tus, store, locks, intake, Expiry(None))


async def settled(*awaited: Awaitable[Any]) -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(*awaited)


def test_a_full_upload_is_told_of_once_it_is_synced(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Engine(asyncio.get_running_loop())
        disk, locks = SlowDisk(engine), Locks(20)
        store = FsStore(cast("Engine", disk), str(tmp_path), sync=SyncMode.COMPLETE)
        service = service_of(store, locks)
        await store.create(UploadInfo(id=ID, offset=Offset(0), length=5), b"")
        request, question = patch(size=5), head("HEAD", UPLOAD)
        appending = asyncio.create_task(service.answer(request, body_of(request, b"hello")))
        async with asyncio.timeout(60):
            await disk.syncs.wait()
            assert os.stat(tmp_path / ID).st_size == 5  # noqa: PTH116
            asking = asyncio.create_task(service.answer(question, body_of(question, b"")))
            while len(locks.queues[ID]) < 2:
                assert not asking.done(), "told of a full upload that was not synced"
                await asyncio.sleep(0)
        disk.gate.set()
        await settled(appending, asking)
        assert appending.result().status == 204
        assert ("Upload-Offset", "5") in asking.result().headers
        engine.close()
        store.close()

    asyncio.run(scene())


def test_a_part_is_told_of_without_waiting(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Engine(asyncio.get_running_loop())
        locks = Locks(20)
        store = FsStore(engine, str(tmp_path), sync=SyncMode.COMPLETE)
        service = service_of(store, locks)
        await store.create(UploadInfo(id=ID, offset=Offset(0), length=5), b"he")
        question = head("HEAD", UPLOAD)
        async with locks.hold(ID), asyncio.timeout(10):
            answer = await service.answer(question, body_of(question, b""))
        assert ("Upload-Offset", "2") in answer.headers
        engine.close()
        store.close()

    asyncio.run(scene())
