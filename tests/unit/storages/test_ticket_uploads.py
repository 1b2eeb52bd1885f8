"""Uploads by tus with a ticket: what a cancelled beginning leaves, and when they are settled."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.model import RequestHead, UploadId
from fileloft_fast.storages.entry import Entry, Wish
from fileloft_fast.storages.ticket_uploads import TicketUploads
from fileloft_fast.uploads.expiry import Expiry
from tests.unit.storages.shop import Shop, play
from tests.unit.tus.heads import head, rules
from tests.unit.uploads.test_service import body_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BLOB: Final = UploadId("a" * 32)
BASE: Final = "/v1/uploads/public/"


def uploads_of(shop: Shop) -> TicketUploads:
    reception = shop.storage.reception
    uploads = TicketUploads(
        replace(rules(), base_path=BASE),
        shop.store,
        reception.locks,
        reception.intake,
        Expiry(None),
    )
    uploads.serve(shop.storage)
    return uploads


def wish() -> Wish:
    return Wish(path="a/b", nonce="f" * 32, expires_at=time.time() + 60)


async def answered(uploads: TicketUploads, asked: RequestHead) -> int:
    return (await uploads.answer(asked, body_of(asked, b""))).status


def test_a_beginning_that_is_cancelled_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(shop: Shop) -> None:
        reached = asyncio.Event()

        async def endless(*_: Any) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(shop.store, "create", endless)
        asked = head("POST", BASE, {"upload-length": "5"})
        beginning = asyncio.create_task(uploads_of(shop).begin(asked, body_of(asked, b""), wish()))
        async with asyncio.timeout(60):
            await reached.wait()
        assert await shop.catalogue.unfinished("public", "")
        beginning.cancel()
        await asyncio.wait([beginning])
        assert beginning.cancelled()
        await shop.catalogue.forgotten("public")  # after all that was posted
        assert not await shop.catalogue.unfinished("public", "")

    play(tmp_path, scene)


def test_what_is_settled_by_a_look_cannot_be_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row without a file would be what was between the look and the row."""

    async def scene(shop: Shop) -> None:
        await shop.catalogue.remember("public", BLOB, wish())
        await shop.stage(BLOB, "a/b")
        uploads, settle = uploads_of(shop), shop.catalogue.await_verification
        deleting: list[asyncio.Task[int]] = []

        async def raced(storage: str, entry: Entry, wanted: Wish) -> None:
            deleting.append(asyncio.create_task(answered(uploads, head("DELETE", BASE + BLOB))))
            waiting = shop.storage.reception.locks.queues
            while not deleting[0].done():
                if len(waiting.get(BLOB, ())) > 1:
                    break
                await asyncio.sleep(0)
            await settle(storage, entry, wanted)

        monkeypatch.setattr(shop.catalogue, "await_verification", raced)
        async with asyncio.timeout(60):
            assert await answered(uploads, head("HEAD", BASE + BLOB)) == 200
            assert await deleting[0] == 403  # it is an object by now
        assert await shop.there() == [BLOB]
        assert await shop.storage.verify("a/b")

    play(tmp_path, scene)
