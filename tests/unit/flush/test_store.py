"""The spooled store beside faults: where bytes are, and what is told of them, at every stage."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.config import AckMode
from fileloft_fast.flush import FlushPlan
from fileloft_fast.model import UploadId
from tests.stores.memory import PARALLEL, SEQUENTIAL, Bucket
from tests.stores.spooled import PART, PREFIX, hurry, spooled

if TYPE_CHECKING:
    from pathlib import Path

    from fileloft_fast.stores.remote.objects import Limits

ID: Final = UploadId("a" * 32)
SIZES: Final = (0, 1, PART - 1, PART, PART + 1, 2 * PART, 5 * PART + 7)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.mark.parametrize("limits", [PARALLEL, SEQUENTIAL], ids=["parallel", "sequential"])
@pytest.mark.parametrize("size", SIZES)
def test_a_finished_upload_is_an_object_when_it_is_acknowledged(
    tmp_path: Path, size: int, limits: Limits
) -> None:
    content = os.urandom(size)

    async def scene() -> None:
        async with spooled(tmp_path, Bucket(limits)) as process:
            await process.create(ID, size)
            if size:
                assert (await process.patch(ID, content)).complete
            assert process.content(ID) == content
            await process.settled()
            assert process.bucket.sessions == {}
            assert set(process.bucket.objects) == {PREFIX + ID, f"{PREFIX}{ID}.info"}
            assert [name for name in os.listdir(tmp_path) if name.startswith(ID)] == []
            assert (await process.head(ID)).complete
            assert await process.get(ID) == content

    asyncio.run(scene())
