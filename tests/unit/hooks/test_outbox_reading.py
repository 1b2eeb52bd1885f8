"""A file of the outbox while it is read: what is not known yet is not lost either."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.errors import StoreError
from fileloft_fast.hooks.outbox import outbox as outbox_module
from fileloft_fast.hooks.outbox import page as page_module
from tests.unit.hooks.stage import Ear, Scene, draft, play

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("ends", ["the disk fails", "the process stops"])
def test_a_file_of_which_nothing_is_known_yet_is_not_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """While it is read, none of its events is in memory: that is no reason to delete it."""

    async def act(scene: Scene) -> None:
        deaf = Ear()
        deaf.down = True
        outbox = await scene.outbox(deaf)
        (item,) = await outbox.expect(draft("u"))
        outbox.confirm(item)
        await outbox.close()
        load, reads, reached = page_module.Page.load, 0, asyncio.Event()

        async def slow(page: page_module.Page) -> object:
            nonlocal reads
            reads += 1
            if reads == 2:  # the first one has been for what is in doubt
                reached.set()
                if ends == "the disk fails":
                    raise StoreError("read error")
                await asyncio.Event().wait()
            return await load(page)

        monkeypatch.setattr(page_module.Page, "load", slow)
        monkeypatch.setattr(outbox_module, "_TEND_S", 0.01)
        monkeypatch.setattr(outbox_module, "_START_S", 0.01)
        ear = Ear()
        outbox = await scene.outbox(ear)
        await reached.wait()
        if ends == "the disk fails":
            await ear.wait_for(1)  # it is read again
        await outbox.close()
        monkeypatch.undo()
        assert len(scene.files()) == (ends == "the process stops")
        last = await scene.outbox(ear)
        await ear.wait_for(1)
        await last.close()
        assert scene.files() == []
        assert len(ear.heard) == 1

    play(tmp_path, act)
