"""What the catalogue must not forget: which ticket is spent, and whose catalogue it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, cast

import pytest

from fileloft_fast.config import StorageSettings
from fileloft_fast.errors import CatalogueError, TicketExpiredError, TicketSpentError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.storages.catalogue import SPENT_KEPT_S, Catalogue
from fileloft_fast.storages.entry import Wish
from fileloft_fast.storages.named import NamedStorage

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.storages.entry import Shelf
    from fileloft_fast.storages.reception import Reception

ONE, TWO = UploadId("1" * 32), UploadId("2" * 32)
LATER: Final = 2**40


def with_catalogue(root: Path, scene: Callable[[Catalogue], Awaitable[None]]) -> None:
    async def played() -> None:
        catalogue = Catalogue(root / "storages.db")
        try:
            await scene(catalogue)
        finally:
            await catalogue.close()

    asyncio.run(played())


def test_a_ticket_stays_spent_as_long_as_an_upload_of_it_may_go_on(tmp_path: Path) -> None:
    """Of two uploads by tus the second one could else come when the first is forgotten."""

    async def scene(catalogue: Catalogue) -> None:
        wish = Wish(path="a", nonce="n", expires_at=1.0)
        await catalogue.remember("public", ONE, wish)
        await catalogue.remember("public", TWO, wish)
        await catalogue.await_verification("public", wish.entry(ONE, 1), wish)
        catalogue.prune(LATER)
        with pytest.raises(TicketSpentError):
            await catalogue.await_verification("public", wish.entry(TWO, 1), wish)
        await catalogue.forgotten("public", TWO)
        catalogue.prune(LATER)
        await catalogue.forgotten("public", TWO)  # after what was asked for before
        await catalogue.foresee("public", wish)

    with_catalogue(tmp_path, scene)


class Removals:
    """A reception of which only the store is used, and of that only ``remove``."""

    def __init__(self) -> None:
        self.removed: list[UploadId] = []
        self.store = self

    async def remove(self, upload: UploadId) -> None:
        self.removed.append(upload)


def test_what_comes_when_its_ticket_may_be_forgotten_is_thrown_away(tmp_path: Path) -> None:
    async def scene(catalogue: Catalogue) -> None:
        reception = Removals()
        storage = NamedStorage(
            StorageSettings(name="public"),
            cast("Shelf", None),
            cast("Reception", reception),
            catalogue,
        )
        info = UploadInfo(id=ONE, offset=Offset(1), length=1)
        ended = time.time() - SPENT_KEPT_S
        with pytest.raises(TicketExpiredError):
            await storage.settle(Wish(path="a", nonce="n", expires_at=ended), info)
        assert reception.removed == [ONE]
        assert await catalogue.pending("public", "a") is None
        await storage.settle(Wish(path="a", nonce="n", expires_at=ended + 600), info)
        assert await catalogue.pending("public", "a") is not None

    with_catalogue(tmp_path, scene)


def move(source: Path, target: Path) -> None:
    """Move a catalogue, as an operator does."""
    target.mkdir(exist_ok=True)
    for file in source.glob("storages.db*"):
        file.rename(target / file.name)


def test_another_catalogue_in_the_place_of_ours_is_not_used(tmp_path: Path) -> None:
    """An empty one would say that no object is one, and the janitor would believe it."""

    async def scene(catalogue: Catalogue) -> None:
        await catalogue.token("public", tmp_path)
        wish = Wish(path="a")
        await catalogue.publish("public", wish.entry(ONE, 1), overwrite=True)
        assert await catalogue.shows("public", ONE, "a")
        away = tmp_path / "away"
        move(tmp_path, away)
        with pytest.raises(CatalogueError):
            await catalogue.shows("public", ONE, "a")
        with pytest.raises(CatalogueError):
            await catalogue.publish("public", wish.entry(TWO, 1), overwrite=True)
        move(tmp_path, tmp_path / "empty")
        move(away, tmp_path)
        assert await catalogue.shows("public", ONE, "a")

    with_catalogue(tmp_path, scene)
