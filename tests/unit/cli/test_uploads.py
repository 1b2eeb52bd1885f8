"""``ls``, ``show`` and ``rm``: what they print, what they delete, and the exit status."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.cli import run
from fileloft_fast.config import SyncMode
from fileloft_fast.dataplane import Engine
from fileloft_fast.model import Metadata, Offset, UploadId, UploadInfo
from fileloft_fast.stores import FsStore
from tests.deadline import eventually
from tests.endpoint import Endpoint
from tests.server import Server

if TYPE_CHECKING:
    from pathlib import Path

OPEN: Final = UploadId("a" * 32)
DONE: Final = UploadId("b" * 32)
OLD: Final = UploadId("c" * 32)
DAY: Final = 86_400.0
TTL: Final = {"ENABLE_EXPIRATION": "1", "EXPIRATION_TTL": "3600"}


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Give the log back: the commands take it over."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a directory with an unfinished, a finished and an expired upload."""

    async def fill() -> None:
        engine = Engine(asyncio.get_running_loop())
        store = FsStore(engine, str(tmp_path), sync=SyncMode.NONE)
        name = Metadata("filename YRsgYg==", (("filename", b"a\x1b b"),))
        try:
            for upload, length in ((OPEN, 9), (DONE, 1), (OLD, 9)):
                info = UploadInfo(
                    id=upload, offset=Offset(1), length=length, metadata=name, owner="anna"
                )
                await store.create(info, b"x")
        finally:
            engine.close()
            store.close()

    asyncio.run(fill())
    os.utime(tmp_path / OLD, (time.time() - DAY, time.time() - DAY))
    return tmp_path


def ask(directory: Path, *argv: str, **settings: str) -> int:
    env = {f"FILELOFT_{name}": value for name, value in settings.items()}
    return run(argv, {"FILELOFT_DATA_DIR": str(directory), **env})


def listed(out: str) -> set[str]:
    return {json.loads(line)["id"] for line in out.splitlines()}


def test_ls_prints_a_line_for_each_upload(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(directory, "ls", **TTL) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "OFFSET", "LENGTH", "%", "AGE", "STATE", "OWNER", "NAME"]
    told = {line.split()[0]: line.split() for line in lines}
    assert told[OPEN][1:4] == ["1", "9", "11"]
    assert told[OPEN][5:7] == ["unfinished", "anna"]
    assert told[DONE][3] == "100"
    assert told[DONE][5] == "finished"
    assert told[OLD][4:6] == ["1d", "expired"]
    assert told[OLD][7:] == ["a?", "b"]  # nothing that could move the cursor


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ([], {OPEN, DONE, OLD}),
        (["--unfinished"], {OPEN}),
        (["--finished"], {DONE}),
        (["--expired"], {OLD}),
        (["--finished", "--expired"], {DONE, OLD}),
        (["--owner", "berta"], set()),
        (["--owner", "anna"], {OPEN, DONE, OLD}),
    ],
)
def test_ls_keeps_to_what_is_asked_for(
    directory: Path, capsys: pytest.CaptureFixture[str], filters: list[str], kept: set[str]
) -> None:
    assert ask(directory, "ls", "--json", *filters, **TTL) == 0
    assert listed(capsys.readouterr().out) == kept


def test_uploads_in_the_spools_of_workers_are_found(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "worker-1").mkdir()
    (directory / "worker-2").write_text("a file")
    for name in (OPEN, f"{OPEN}.info"):
        (directory / name).rename(directory / "worker-1" / name)
    assert ask(directory, "ls", "--json", **TTL) == 0
    assert listed(capsys.readouterr().out) == {OPEN, DONE, OLD}
    assert ask(directory, "show", OPEN, **TTL) == 0


def test_an_upload_that_cannot_be_read_is_told_of(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / f"{OPEN}.info").write_text("{")
    (directory / DONE).unlink()
    assert ask(directory, "ls", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["id"] for each in told if each["state"] == "unreadable"} == {OPEN, DONE}
    assert ask(directory, "ls") == 0


def test_ls_of_no_directory_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(tmp_path / "none", "ls") == 1
    assert capsys.readouterr().err.endswith("No such file or directory\n")
    assert not (tmp_path / "none").exists()


def test_ls_changes_nothing(directory: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert ask(directory, "ls") == 0
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == before


def test_show_prints_all_there_is(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(directory, "show", OPEN, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["id"], told["offset"], told["length"]) == (OPEN, 1, 9)
    assert told["metadata"] == {"filename": "a\x1b b"}
    assert ask(directory, "show", OPEN) == 0
    assert "owner        anna\n" in capsys.readouterr().out


@pytest.mark.parametrize("upload", ["unknown", "../etc/passwd", "a/b", ""])
def test_show_of_what_is_not_there_is_status_1(
    directory: Path, capsys: pytest.CaptureFixture[str], upload: str
) -> None:
    assert ask(directory, "show", upload) == 1
    assert "no such upload" in capsys.readouterr().err


def test_rm_deletes_what_is_named_and_tells_what_it_could_not(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(directory, "rm", OPEN, "f" * 32, DONE) == 1
    told = capsys.readouterr()
    assert told.out == f"{OPEN}\n{DONE}\n"
    assert told.err == f"fileloft-fast: {'f' * 32}: no such upload\n"
    left = {path.name for path in directory.iterdir() if path.name[0] != "."}
    assert left == {OLD, OLD + ".info"}


def test_rm_leaves_an_upload_alone_that_a_request_works_on_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(tmp_path / "data") as server:
        tus = Endpoint(server)
        upload = tus.create(100)
        name = UploadId(upload.rsplit("/", 1)[1])
        with tus.connect() as wire:
            head = tus.render_append(upload, 0, bytes(100)).partition(b"\r\n\r\n")[0]
            wire.send(head + b"\r\n\r\n" + b"x" * 10)
            eventually(lambda: tus.data_file(upload).stat().st_size == 10)
            assert ask(server.data, "rm", name) == 1
            assert "a request works on it" in capsys.readouterr().err
            assert tus.data_file(upload).exists()
            assert ask(server.data, "rm", "--force", name) == 0
            assert wire.read().status == 423
        tus.assert_gone(upload)


@pytest.mark.parametrize("upload", ["../outside", "a/b", ".", ""])
def test_rm_names_uploads_and_no_paths(
    directory: Path, capsys: pytest.CaptureFixture[str], upload: str
) -> None:
    assert ask(directory, "rm", upload) == 1
    assert capsys.readouterr().err == f"fileloft-fast: {upload}: no such upload\n"


def test_ls_waits_for_nobody_to_write_to_a_pipe(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(directory / f"{'d' * 32}.info")
    assert ask(directory, "ls") == 0
    assert f"{'d' * 32}" in capsys.readouterr().out
