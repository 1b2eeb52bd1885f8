"""Uploads that are kept elsewhere: what must be confirmed, locked or fetched before it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from fileloft_fast.errors import NotStoredError, RemoteUnavailableError, ShuttingDownError
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.model import ByteStream, Offset, Response, UploadId, UploadInfo
from fileloft_fast.uploads import Locks
from fileloft_fast.uploads.expiry import Expiry
from fileloft_fast.uploads.intake import Intake
from fileloft_fast.uploads.resuming import ResumingService
from tests.unit.sides import Side
from tests.unit.tus.heads import ID, UPLOAD, head, rules

if TYPE_CHECKING:
    from fileloft_fast.stores import AnyStore

URL = "https://bucket.example/key?signature=s"


class Found:
    """A finished upload of 7 bytes."""

    info = UploadInfo(id=ID, offset=Offset(7), length=7)


class Depot:
    """A store somewhere else, which notes what is asked of it."""

    def __init__(self, *, guarded: bool = False, url: str | None = None) -> None:
        self.guarded = guarded
        self.asked: list[object] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self._url = url

    async def load(self, upload: UploadId) -> Found:
        self.asked.append("load")
        if isinstance(self.failure, RemoteUnavailableError):
            raise self.failure
        assert upload == ID
        return Found()

    async def confirm(self, found: Found) -> None:
        assert found.info.complete
        self.asked.append("confirm")
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure

    async def locate(self, found: Found) -> str | None:
        assert found.info.complete
        self.asked.append("locate")
        return self._url

    async def read(self, found: Found, start: int, length: int) -> ByteStream:
        assert found.info.complete
        self.asked.append((start, length))
        return ByteStream(length, self._pieces(start, length))

    async def _pieces(self, start: int, length: int) -> AsyncGenerator[bytes, None]:
        yield b"content"[start : start + length]


def play(
    scene: Callable[[ResumingService, Depot, Locks], Coroutine[Any, Any, None]],
    **depot: Any,
) -> None:
    """Run *scene* with the service of a depot."""

    async def run() -> None:
        store, locks, tus = Depot(**depot), Locks(20), rules()
        kept = cast("AnyStore", store)
        intake = Intake(store=kept, algorithms=tus.algorithms, idle_ms=1000, min_rate=0)
        service = ResumingService(tus, kept, locks, intake, Expiry(None))
        async with asyncio.timeout(60):
            await scene(service, store, locks)

    asyncio.run(run())


async def ask(service: ResumingService, method: str, **fields: str) -> Response:
    request = head(method, UPLOAD, {name.replace("_", "-"): v for name, v in fields.items()})
    return await service.answer(request, RequestBody(Side(), asyncio.get_running_loop(), request))


def test_a_finished_upload_is_told_of_once_it_is_confirmed() -> None:
    async def scene(service: ResumingService, store: Depot, _: Locks) -> None:
        store.gate.clear()
        asking = asyncio.create_task(ask(service, "HEAD"))
        while "confirm" not in store.asked:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0)
        assert not asking.done()
        store.gate.set()
        assert ("Upload-Offset", "7") in (await asking).headers

    play(scene)


def test_what_is_not_confirmed_is_not_told() -> None:
    async def scene(service: ResumingService, store: Depot, _: Locks) -> None:
        store.failure = NotStoredError("not yet")
        answer = await ask(service, "HEAD")
        assert (answer.status, answer.close) == (503, False)
        assert dict(answer.headers)["Retry-After"] in set("12345")
        assert "Upload-Offset" not in dict(answer.headers)

    play(scene)


def test_a_store_that_is_down_is_never_a_404_and_leaves_the_connection() -> None:
    async def scene(service: ResumingService, store: Depot, _: Locks) -> None:
        store.failure = RemoteUnavailableError("down")
        for method in ("HEAD", "GET"):
            answer = await ask(service, method)
            assert (answer.status, answer.close) == (503, False)

    play(scene)


def test_a_guarded_upload_is_looked_at_only_when_nobody_holds_it() -> None:
    async def scene(service: ResumingService, store: Depot, locks: Locks) -> None:
        async with locks.hold(ID):
            asking = asyncio.create_task(ask(service, "HEAD"))
            while len(locks.queues[ID]) < 2:  # noqa: ASYNC110 - a queue
                await asyncio.sleep(0)
            assert store.asked == []
        assert (await asking).status == 200
        assert store.asked == ["load", "confirm"]
        assert not locks.queues

    play(scene, guarded=True)


def test_a_look_that_waits_ends_when_the_server_stops() -> None:
    async def scene(service: ResumingService, _: Depot, locks: Locks) -> None:
        async with locks.hold(ID):
            asking = asyncio.create_task(ask(service, "HEAD"))
            while len(locks.queues[ID]) < 2:  # noqa: ASYNC110 - a queue
                await asyncio.sleep(0)
            locks.drain(ShuttingDownError("the server is stopping"))
            assert (await asking).status == 503

    play(scene, guarded=True)


def test_a_download_reads_exactly_the_range() -> None:
    async def scene(service: ResumingService, store: Depot, _: Locks) -> None:
        answer = await ask(service, "GET", Range="bytes=2-4")
        assert (answer.status, store.asked) == (206, ["load", "locate", (2, 3)])
        assert isinstance(answer.body, ByteStream)
        assert [piece async for piece in answer.body.pieces] == [b"nte"]

    play(scene)


def test_a_download_is_sent_to_the_store_where_it_has_a_url() -> None:
    async def scene(service: ResumingService, store: Depot, _: Locks) -> None:
        answer = await ask(service, "GET")
        assert (answer.status, dict(answer.headers)["Location"]) == (302, URL)
        assert store.asked == ["load", "locate"]

    play(scene, url=URL)


def test_a_fresh_copy_needs_no_bytes_and_no_url() -> None:
    async def scene(service: ResumingService, store: Depot, _: Locks) -> None:
        etag = dict((await ask(service, "GET")).headers)["ETag"]
        store.asked.clear()
        answer = await ask(service, "GET", If_None_Match=etag)
        assert (answer.status, answer.body, store.asked) == (304, b"", ["load"])

    play(scene)
