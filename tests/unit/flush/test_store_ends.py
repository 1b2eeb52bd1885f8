"""The spooled store: an upload that awaits its end is not finished, however many bytes it has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.model import Offset, UploadInfo
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, Spooled, hurry
from tests.unit.flush.test_store import BOTH, ID, play

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.flush import FlushPlan
    from fileloft_fast.stores.remote.objects import Limits


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@BOTH
@pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
@pytest.mark.parametrize("size", [0, 5, 2 * PART, 2 * PART + 5])
def test_an_upload_that_awaits_its_end_is_shipped_when_the_end_is_declared(
    tmp_path: Path, size: int, limits: Limits, plan: FlushPlan
) -> None:
    content, bucket = os.urandom(size), Bucket(limits)

    async def act(process: Spooled) -> None:
        await process.store.create(
            UploadInfo(id=ID, offset=Offset(0), length=size, awaits_end=True), b""
        )
        await process.patch(ID, content)

    async def again(process: Spooled) -> None:
        """After a restart: nobody has taken it for finished."""
        info = await process.head(ID)
        assert (info.offset, info.complete) == (size, False)
        assert not (await process.store.append(await process.load(ID), b"")).complete
        assert process.content(ID) is None
        found = await process.store.declare(await process.load(ID), size)
        assert (await process.store.append(found, b"")).complete
        await process.settled()
        assert process.content(ID) == content
        assert (await process.head(ID)).complete

    play(tmp_path, act, plan, bucket)
    play(tmp_path, again, plan, bucket)
