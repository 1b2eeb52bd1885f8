"""What is deleted when: what nothing shows, and nothing that something may show."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.errors import CatalogueError, StoreError
from fileloft_fast.model import UploadId
from fileloft_fast.storages.entry import Entry, Wish
from tests.unit.storages.shop import Shop, play

if TYPE_CHECKING:
    from pathlib import Path

BLOBS: Final = [UploadId(letter * 32) for letter in "abc"]


def test_what_cannot_be_deleted_keeps_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(shop: Shop) -> None:
        for blob in BLOBS:
            await shop.storage.settle(Wish(path=f"a/{blob}"), await shop.stage(blob, f"a/{blob}"))
            assert await shop.storage.delete(f"a/{blob}")
        remove = shop.store.remove

        async def failing(upload: UploadId) -> bool:
            if upload == BLOBS[0]:
                raise StoreError("the disk has a bad sector")
            return await remove(upload)

        monkeypatch.setattr(shop.store, "remove", failing)
        await shop.janitor.clean()
        assert await shop.there() == BLOBS[:1]
        monkeypatch.setattr(shop.store, "remove", remove)
        await shop.janitor.clean()
        assert await shop.there() == []

    play(tmp_path, scene)


def test_what_the_catalogue_may_show_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit whose sync fails can be in SQLite's log all the same."""

    async def scene(shop: Shop) -> None:
        commit = shop.catalogue.await_verification

        async def committed_and_failed(storage: str, entry: Entry, wish: Wish) -> None:
            await commit(storage, entry, wish)
            raise CatalogueError("the disk is full")

        monkeypatch.setattr(shop.catalogue, "await_verification", committed_and_failed)
        wish = Wish(path="a/b", nonce="f" * 32, expires_at=time.time() + 60)
        with pytest.raises(CatalogueError):
            await shop.storage.settle(wish, await shop.stage(BLOBS[0], "a/b"))
        await shop.janitor.clean()
        assert await shop.storage.verify("a/b")
        assert await shop.there() == BLOBS[:1]

    play(tmp_path, scene)


def test_what_nothing_shows_is_deleted(tmp_path: Path) -> None:
    async def scene(shop: Shop) -> None:
        shown = await shop.storage.settle(Wish(path="a/b"), await shop.stage(BLOBS[0], "a/b"))
        await shop.stage(BLOBS[1], "a/b")
        assert await shop.janitor.clean() == 1
        assert await shop.there() == [shown.blob]

    play(tmp_path, scene)


def test_of_uploads_that_were_never_made_nothing_is_kept(tmp_path: Path) -> None:
    """A crash between the row and the file."""

    async def scene(shop: Shop) -> None:
        past, future = time.time() - 1, time.time() + 60
        catalogue = shop.catalogue
        for blob, nonce, end in zip(BLOBS, "ffe", (past, past, future), strict=True):
            wish = Wish(path="a/b", nonce=nonce, expires_at=end)
            await catalogue.remember("public", blob, wish)
        await shop.janitor.clean()
        await catalogue.forgotten("public")  # after all that was posted
        assert [blob for blob, _ in await catalogue.unfinished("public", "")] == BLOBS[2:]

    play(tmp_path, scene)
