"""Directories in which others have files, too: none of theirs is taken, deleted, or in the way."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileloft_fast.cli.adopt import render_plan
from fileloft_fast.stores.fs.adoption import (
    Carrier,
    FileloftDirectory,
    TusdDirectory,
    Verdict,
    adopt_at_start,
    decide,
)
from tests.adoption.adopting import adopt, assert_left
from tests.adoption.fileloft import Fileloft
from tests.adoption.tusd import Tusd

if TYPE_CHECKING:
    from pathlib import Path


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.fixture
def loft(tmp_path: Path) -> Fileloft:
    return Fileloft(tmp_path / "data")


@pytest.fixture
def tusd(tmp_path: Path) -> Tusd:
    return Tusd(tmp_path / "data")


def start(path: Path) -> None:
    adopt_at_start(path, "/files/", 0o600)


# --- the folder of locks -------------------------------------------------------------------------


def test_a_folder_of_that_name_keeps_what_fileloft_did_not_put_in(loft: Fileloft) -> None:
    locks = loft.path / "locks"
    (locks / "a.lock").touch()
    (locks / "of-somebody.lock").write_text("what is in it")
    (locks / "notes.txt").touch()
    (locks / "more").mkdir()
    (locks / "link.lock").symlink_to("nowhere")
    os.mkfifo(locks / "pipe.lock")
    start(loft.path)
    assert {entry.name for entry in locks.iterdir()} == {
        "of-somebody.lock",
        "notes.txt",
        "more",
        "link.lock",
        "pipe.lock",
    }


@pytest.mark.parametrize("call", ["open", "unlink"])
def test_locks_that_may_not_be_touched_stop_no_start(
    loft: Fileloft, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (loft.path / "locks" / "a.lock").touch()  # by a fileloft that ran as root
    real = getattr(os, call)

    def refuse(path: Any, *args: Any, **options: Any) -> Any:
        if str(path).endswith(".lock"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, call, refuse)
    start(loft.path)
    assert (loft.path / "locks" / "a.lock").exists()


def test_a_link_of_that_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "a.lock").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "locks").symlink_to(tmp_path / "away")
    start(tmp_path / "data")
    assert (tmp_path / "away" / "a.lock").exists()


@pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: path.symlink_to(".")])
def test_a_file_of_that_name_leaves_uploads_as_they_are_and_stops_no_start(
    loft: Fileloft, make: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    loft.unfinished("u", [b"abc"], 9)
    (loft.path / "locks").rmdir()
    make(loft.path / "locks")
    before = {entry.name for entry in loft.path.iterdir()}
    start(loft.path)
    assert "cannot be adopted now" in caplog.text
    assert {entry.name for entry in loft.path.iterdir()} == before


# --- records -------------------------------------------------------------------------------------


@pytest.mark.parametrize("server", [FileloftDirectory, TusdDirectory])
@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b'{"Size":1,"id":"u","size":1,"x":' + DEEP + b"}",
        b'{"Size":1,"ID":"\xff","size":1}',
        b'{"id":"u","size":9,"offset":-5}',
        b"{" * (2 << 20),
    ],
    ids=["empty", "deep", "not UTF-8", "negative", "huge"],
)
def test_a_record_that_nobody_can_have_written_is_left_out(
    tmp_path: Path, server: type[FileloftDirectory | TusdDirectory], contents: bytes
) -> None:
    (tmp_path / "u.info").write_bytes(contents)
    assert_left(server, tmp_path, "cannot be read")
    start(tmp_path)  # which goes on


@pytest.mark.parametrize("server", [FileloftDirectory, TusdDirectory])
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "u.info is not a file"),
        (lambda path: path.symlink_to("nowhere"), "u.info is a link"),
    ],
    ids=["a pipe", "a link"],
)
def test_a_record_that_is_no_file_is_left_out(
    tmp_path: Path,
    server: type[FileloftDirectory | TusdDirectory],
    make: Callable[[Path], None],
    why: str,
) -> None:
    make(tmp_path / "u.info")
    start(tmp_path)
    (plan,) = adopt(server, tmp_path).values()
    assert (plan.verdict, plan.why) == (Verdict.LEFT_OUT, why)


VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = [
    *("id", "size", "offset", "metadata", "size_is_deferred"),
    *("is_partial", "is_final", "partial_uploads", "fast"),
    *("ID", "Size", "SizeIsDeferred", "MetaData"),
    *("IsPartial", "IsFinal", "PartialUploads", "Storage"),
]


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_whatever_a_record_says_a_start_and_a_dry_run_go_on(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("data")
    for more in ({}, {"id": "u", "size": 9, "offset": 0}, {"ID": "u", "Size": 9}):
        (path / "u.info").write_text(json.dumps({**record, **more}))
        for directory in (
            FileloftDirectory(path, "/files/", in_place=True),
            TusdDirectory(path, "/files/", in_place=True),
        ):
            for name in directory.names():
                plan = decide(Carrier(path, in_place=True, file_mode=0o600), directory, name)
                assert render_plan(plan).isprintable()
        start(path)
