"""What was appended can be searched, read and cut before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.unit.stores.test_fs_store import ID, info_of, opened

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("algorithm", [None, "md5"])
@pytest.mark.parametrize("before", [b"", b"before"])
def test_a_tail_is_found_and_cut_off_and_no_digest_has_it(
    tmp_path: Path, before: bytes, algorithm: str | None
) -> None:
    async def scene() -> None:
        async with opened(tmp_path) as store:
            await store.create(info_of(None), before)
            appender = await store.open(await store.load(ID), algorithm=algorithm)
            await appender.write(b"file, end, more")
            end = await appender.find(b", end", 0, appender.received)
            assert end == 4
            assert await appender.find(b", end", end + 1, appender.received) == -1
            assert await appender.read(end, 5) == b", end"
            assert await appender.read(end, 100) == b", end, more"
            await appender.cut(end)
            assert await appender.checksum("md5") == hashlib.md5(b"file").digest()
            assert (await appender.commit()).offset == len(before) + 4
            assert (await store.load(ID)).info.offset == len(before) + 4
        assert (tmp_path / ID).read_bytes() == before + b"file"

    asyncio.run(scene())
