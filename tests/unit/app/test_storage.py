"""What is open while a process serves, and in which order it is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

from fileloft_fast.app import opened_storage, storage
from fileloft_fast.config import read_settings
from fileloft_fast.dataplane import Engine
from fileloft_fast.model import UploadId
from fileloft_fast.uploads.host.files import LockFiles, place_of

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

    import pytest

UPLOAD = UploadId("a" * 32)


def test_an_upload_is_another_processs_once_the_engine_has_done_its_last_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that cuts a file back must not find the bytes of who came next."""
    free: list[bool] = []

    class Watched:
        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.engine = Engine(loop)

        def __getattr__(self, name: str) -> object:
            return getattr(self.engine, name)

        def close(self) -> None:
            free.append(others.try_lock(place_of(UPLOAD)))
            self.engine.close()
            free.append(others.try_lock(place_of(UPLOAD)))

    async def leave_a_request_behind() -> None:
        async with opened_storage(read_settings({"FILELOFT_DATA_DIR": str(tmp_path)})) as opened:
            # A drain waits for requests, but not for ever.
            await opened.locks.hold(UPLOAD).__aenter__()

    others = LockFiles(str(tmp_path))
    monkeypatch.setattr(storage, "Engine", Watched)
    try:
        uvloop.run(leave_a_request_behind())
        assert free == [False, False]
        assert others.try_lock(place_of(UPLOAD))
    finally:
        others.close()
