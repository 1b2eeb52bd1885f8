"""``adopt``: what it prints, its status, and that a dry run changes nothing."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.cli import run
from tests.adoption.fileloft import Fileloft, tree
from tests.adoption.tusd import Tusd

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Give the log back: the command takes it over."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before, level


@pytest.fixture
def loft(tmp_path: Path) -> Fileloft:
    """Return a directory with an upload of each kind."""
    loft = Fileloft(tmp_path / "data")
    loft.finished("whole", b"hello")
    loft.unfinished("some", [b"abc", b"de"], 9)
    loft.finished("lost", b"hello")
    (loft.path / "lost").write_bytes(b"")
    return loft


def adopt(*arguments: object, **settings: str) -> int:
    env = {f"FILELOFT_{name}": value for name, value in settings.items()}
    return run(["adopt", *map(str, arguments)], env)


def test_it_says_what_it_left_out_and_ends_with_a_table_and_status_1(
    loft: Fileloft, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt("--from", "fileloft", loft.path) == 1
    told = capsys.readouterr()
    assert told.err == ""
    assert told.out == (
        "lost: left out, damaged: 0 of 5 bytes are there\n"
        "                        uploads               bytes\n"
        "adopted, unfinished           1                   5\n"
        "adopted, finished             0                   0\n"
        "nothing to do                 1\n"
        "left out                      1\n"
    )
    assert (loft.path / "some").read_bytes() == b"abcde"
    assert (loft.path / "locks").exists()  # not all is done


def test_where_nothing_is_left_out_the_status_is_0(loft: Fileloft) -> None:
    (loft.path / "lost.info").unlink()
    assert adopt("--from", "fileloft", loft.path) == 0
    assert not (loft.path / "locks").exists()


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(
    loft: Fileloft, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(tmp_path)
    assert adopt("--from", "fileloft", "--dry-run", loft.path) == 1
    assert tree(tmp_path) == before
    assert capsys.readouterr().out == (
        "lost: left out, damaged: 0 of 5 bytes are there\n"
        "some: adopt, 5 of 9 bytes from 2 files, 2 files go\n"
        "                        uploads               bytes\n"
        "to adopt, unfinished          1                   5\n"
        "to adopt, finished            0                   0\n"
        "nothing to do                 1\n"
        "left out                      1\n"
    )
    assert adopt("--from", "fileloft", "--dry-run", loft.path, "--into", tmp_path / "into") == 1
    assert tree(tmp_path) == before


def test_a_dry_run_of_tusds_changes_nothing(tmp_path: Path) -> None:
    tusd = Tusd(tmp_path / "data")
    tusd.upload("some", b"abc", 9)
    (tusd.path / "some.lock").write_text("nobody\n")
    before = tree(tmp_path)
    assert adopt("--from", "tusd", "--dry-run", tusd.path) == 0
    assert tree(tmp_path) == before


def test_into_another_directory_which_is_made(loft: Fileloft, tmp_path: Path) -> None:
    before = tree(loft.path)
    into = tmp_path / "deep" / "into"
    assert adopt("--from", "fileloft", loft.path, "--into", into) == 1
    assert tree(loft.path) == before
    assert {entry.name for entry in into.iterdir()} == {"some", "some.info", "whole", "whole.info"}
    assert into.stat().st_mode & 0o777 == 0o700


def test_where_a_server_works_it_does_nothing_and_says_so(
    loft: Fileloft, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(loft.path)
    server = os.open(loft.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(server, fcntl.LOCK_SH)
        assert adopt("--from", "fileloft", loft.path) == 2
    finally:
        os.close(server)
    assert tree(loft.path) == before
    assert capsys.readouterr().err == (
        f"fileloft-fast: adopt: a server works in {loft.path}; stop it first\n"
    )


def test_a_directory_that_is_not_there_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adopt("--from", "tusd", "--dry-run", tmp_path / "none") == 2
    told = capsys.readouterr()
    assert told.err.startswith("fileloft-fast: adopt: ")
    assert told.err.count("\n") == 1
    assert adopt("--from", "tusd", tmp_path / "none") == 2
    assert not (tmp_path / "none").exists()


def test_the_spool_of_an_object_store_takes_no_uploads_in(
    loft: Fileloft, capsys: pytest.CaptureFixture[str]
) -> None:
    (loft.path / "spool.id").touch()
    before = tree(loft.path)
    assert adopt("--from", "fileloft", loft.path) == 2
    assert tree(loft.path) == before
    assert "into a local disk only" in capsys.readouterr().err


def test_the_files_that_are_made_have_the_mode_that_is_asked_for(loft: Fileloft) -> None:
    adopt("--from", "fileloft", loft.path, FILE_MODE="640")
    umask = os.umask(0)
    os.umask(umask)
    for name in ("some", "some.info"):
        assert (loft.path / name).stat().st_mode & 0o777 == 0o640 & ~umask


def test_what_is_made_belongs_to_whom_the_directory_belongs(loft: Fileloft) -> None:
    if os.geteuid() == 0:  # as root, who adopts for a server that runs as somebody else
        os.chown(loft.path, 12345, 12346)
    owner = loft.path.stat()
    adopt("--from", "fileloft", loft.path)
    for name in ("some", "some.info"):
        made = (loft.path / name).stat()
        assert (made.st_uid, made.st_gid) == (owner.st_uid, owner.st_gid)


def test_another_server_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        adopt("--from", "rustus", tmp_path)
    assert ended.value.code == 2
    assert "--from" in capsys.readouterr().err
