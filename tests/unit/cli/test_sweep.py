"""``sweep``: what it deletes, what it prints, and its exit status."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.cli import run
from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.errors import StoreError
from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores import FsStore
from fileloft_fast.stores.fs.leftovers import SINCE
from fileloft_fast.uploads.host import LockFiles
from fileloft_fast.uploads.host.files import place_of

if TYPE_CHECKING:
    from pathlib import Path

EXPIRED: Final = UploadId("a" * 32)
FRESH: Final = UploadId("b" * 32)
LEFT: Final = "c" * 32
DAY: Final = 86_400.0


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Give the log back: the command takes it over."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with an expired upload, a fresh one, and bytes that belong to none."""

    async def fill() -> None:
        engine = Engine(asyncio.get_running_loop())
        store = FsStore(engine, str(tmp_path), sync=SyncMode.NONE)
        try:
            for upload in (EXPIRED, FRESH):
                await store.create(UploadInfo(id=upload, offset=Offset(1), length=9), b"x")
        finally:
            engine.close()
            store.close()

    asyncio.run(fill())
    (tmp_path / LEFT).write_bytes(b"x")
    (tmp_path / SINCE).touch()
    for name in (SINCE, EXPIRED, LEFT):
        os.utime(tmp_path / name, (time.time() - DAY, time.time() - DAY))
    return tmp_path


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()} - {".locks", SINCE}


def sweep(directory: Path, **settings: str) -> int:
    env = {f"FILELOFT_{name}": value for name, value in settings.items()}
    return run(["sweep"], {"FILELOFT_DATA_DIR": str(directory), **env})


def test_it_deletes_what_expired_and_what_is_left_and_says_so(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(directory, ENABLE_EXPIRATION="1", EXPIRATION_TTL="3600") == 0
    assert names(directory) == {FRESH, FRESH + ".info"}
    assert capsys.readouterr().out == "expired uploads deleted: 1 of 2\nleftovers deleted: 1\n"


def test_nothing_expires_where_expiration_is_off(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(directory) == 0
    assert names(directory) == {EXPIRED, EXPIRED + ".info", FRESH, FRESH + ".info"}
    assert capsys.readouterr().out == (
        "expired uploads: uploads do not expire\nleftovers deleted: 1\n"
    )


def test_leftovers_are_left_until_they_are_as_old_as_asked_for(directory: Path) -> None:
    assert sweep(directory, ORPHAN_AGE=str(2 * DAY)) == 0
    assert LEFT in names(directory)


def test_where_a_server_works_it_passes_over_what_that_one_holds(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = LockFiles(str(directory))
    try:
        assert files.try_lock(place_of(EXPIRED))
        assert sweep(directory, ENABLE_EXPIRATION="1", EXPIRATION_TTL="3600") == 0
    finally:
        files.close()
    assert EXPIRED in names(directory)
    assert capsys.readouterr().out == "expired uploads deleted: 0 of 2\nleftovers deleted: 1\n"


def test_where_a_server_works_alone_it_does_nothing_and_says_why(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = names(directory)
    server = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(server, fcntl.LOCK_EX)
        assert sweep(directory, ENABLE_EXPIRATION="1", EXPIRATION_TTL="3600") == 1
    finally:
        os.close(server)
    assert names(directory) == before
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"fileloft-fast: the server that works in {directory} sweeps by itself\n"


def test_wrong_settings_are_one_line_and_status_2(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(directory, ORPHAN_AGE="soon") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("fileloft-fast: FILELOFT_ORPHAN_AGE: must be ")
    assert told.err.count("\n") == 1


def test_a_directory_that_cannot_be_opened_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert sweep(tmp_path / "file") == 2
    told = capsys.readouterr()
    assert told.err.startswith("fileloft-fast: FILELOFT_DATA_DIR: ")
    assert told.err.count("\n") == 1


def test_storage_that_fails_is_one_line_and_status_1(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_store: FsStore) -> int:
        raise StoreError("the disk failed: Input/output error")

    monkeypatch.setattr(FsStore, "tidy", fail)
    assert sweep(directory) == 1
    told = capsys.readouterr()
    assert told.err == "fileloft-fast: sweep ended early: the disk failed: Input/output error\n"
