"""Names, paths and records that are taken: nothing is replaced, and nothing of others is served."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.cli import run
from fileloft_fast.cli.adopt import render_plan
from fileloft_fast.stores.fs.adoption import (
    Carrier,
    FileloftDirectory,
    Plan,
    TusdDirectory,
    Verdict,
    attempt,
)
from fileloft_fast.stores.fs.adoption.plan import left_out
from tests.adoption.adopting import adopt, assert_left
from tests.adoption.fileloft import Fileloft, tree
from tests.adoption.tusd import Tusd

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def loft(tmp_path: Path) -> Fileloft:
    return Fileloft(tmp_path / "data")


@pytest.fixture
def tusd(tmp_path: Path) -> Tusd:
    return Tusd(tmp_path / "data")


# --- names that are taken ------------------------------------------------------------------------


def test_bytes_elsewhere_do_not_replace_a_file_that_has_the_name_of_the_id(tusd: Tusd) -> None:
    storage = {"Type": "filestore", "InfoPath": "data/u.info", "Path": "data/film"}
    tusd.record("u", 9, Storage=storage)
    (tusd.path / "film").write_bytes(b"abc")
    (tusd.path / "u").write_bytes(b"somebody's")
    assert_left(TusdDirectory, tusd.path, f"{tusd.path / 'u'} is another file")


@pytest.mark.parametrize("contents", [b"", b"somebody's"])
def test_a_file_in_the_other_directory_is_not_replaced(
    tusd: Tusd, tmp_path: Path, contents: bytes
) -> None:
    tusd.upload("u", b"abc", 9)
    into = tmp_path / "into"
    into.mkdir()
    (into / "u").write_bytes(contents)
    assert_left(TusdDirectory, tusd.path, "is there without .info", into)


def test_another_upload_of_that_id_in_the_other_directory_is_no_adoption(
    tusd: Tusd, tmp_path: Path
) -> None:
    tusd.upload("u", b"abc", 9)
    into = tmp_path / "into"
    into.mkdir()
    adopt(TusdDirectory, tusd.path, into)
    tusd.upload("u", b"abc", 8)
    assert_left(TusdDirectory, tusd.path, "an upload of that id is in", into)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("away")])
@pytest.mark.parametrize("apart", [False, True])
def test_a_folder_or_a_link_that_has_the_name_of_an_upload_stays(
    loft: Fileloft, tmp_path: Path, make: Callable[[Path], None], *, apart: bool
) -> None:
    loft.unfinished("u", [b"abc", b"de"], 9)
    into = tmp_path / "into" if apart else loft.path
    into.mkdir(exist_ok=True)
    make(into / "u")
    assert_left(FileloftDirectory, loft.path, "is not a file", into if apart else None)


def test_bytes_that_fileloft_cannot_have_put_there_are_not_replaced(loft: Fileloft) -> None:
    loft.unfinished("u", [b"abc", b"de"], 9)
    loft.write("u", b"mine")
    assert_left(FileloftDirectory, loft.path, "do not agree")


@pytest.mark.parametrize(
    ("pieces", "kept", "data"),
    [
        # joined with a chunk in between that was never told, and ended in the middle
        ([b"abc", b"xy", b"def"], [0, 1, 2], b"abcxyd"),
        # the power failed, and what had been joined was not on the disk yet
        ([b"abc", b"def"], [1], b"abc\0\0\0"),
    ],
)
def test_parts_are_deleted_only_where_the_upload_has_their_bytes(
    loft: Fileloft, pieces: list[bytes], kept: list[int], data: bytes
) -> None:
    loft.parts("u", pieces)
    for number in set(range(len(pieces))) - set(kept):
        (loft.path / f"u_part_{number}").unlink()
    loft.record("u", 6, 6)
    loft.write("u", data)
    before = tree(loft.path)
    assert adopt(FileloftDirectory, loft.path)["u"].verdict is Verdict.LEFT_OUT
    assert tree(loft.path) == before


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["absolute", "relative", "through a link"])
def test_a_record_cannot_have_the_file_of_another_owner_served(
    tusd: Tusd, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "away" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(b"abc")
    (tusd.path / "folder").symlink_to(secret.parent)
    path = {
        "absolute": str(secret),
        "relative": "../away/secret",
        "through a link": "folder/secret",
    }[how]
    tusd.record("u", 9, Storage={"Type": "filestore", "InfoPath": "u.info", "Path": path})
    as_somebody_else(tusd.path / "u.info", monkeypatch)
    assert_left(TusdDirectory, tusd.path, "belongs to somebody else than its .info")


def as_somebody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let *path* be somebody else's, in earnest where we may."""
    if os.geteuid() == 0:
        os.chown(path, 12345, 12345)
        return
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        if found.st_ino != path.stat().st_ino:
            return found
        return os.stat_result([*found[:4], 12345, *found[5:10]], {"st_mtime_ns": found.st_mtime_ns})

    monkeypatch.setattr(os, "fstat", fstat)


def test_a_file_that_takes_the_place_of_the_one_planned_is_not_taken(
    tusd: Tusd, tmp_path: Path
) -> None:
    tusd.upload("u", b"abc", 3)
    for into in (None, tmp_path / "into"):
        (tmp_path / "into").mkdir(exist_ok=True)
        carrier = Carrier(into or tusd.path, in_place=into is None, file_mode=0o600)
        film = tmp_path / "film"
        film.write_bytes(b"abc")
        tusd.record("v", 9, Storage={"Type": "filestore", "Path": str(film)})
        plan = TusdDirectory(tusd.path, "/files/", in_place=into is None).plan("v")
        os.link(film, tmp_path / "kept")
        film.unlink()
        film.write_bytes(b"xyz")
        assert "another file came to be" in attempt(carrier, plan).why
        assert not ((into or tusd.path) / "v").exists()
        (tmp_path / "kept").unlink()


def test_bytes_beside_the_directory_are_found_from_where_tusd_was_started(
    tusd: Tusd, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "film").write_bytes(b"abc")
    (tusd.path / "other").mkdir()
    (tusd.path / "other" / "film").write_bytes(b"another")
    storage = {"Type": "filestore", "InfoPath": "data/u.info", "Path": "other/film"}
    tusd.record("u", 9, Storage=storage)
    adopt(TusdDirectory, tusd.path)
    assert (tusd.path / "u").read_bytes() == b"abc"


def test_no_line_ends_in_a_header_that_is_built_again(tusd: Tusd) -> None:
    tusd.upload("u", b"ab", 2, IsFinal=True, PartialUploads=["a/b", "p\r\nX: 1"])
    plan = TusdDirectory(tusd.path, "/files/", in_place=True).plan("u")
    assert plan.info is not None
    assert plan.info.concat_raw == "final;/files/a/b /files/p%0D%0AX:%201"


def test_names_are_printed_so_that_no_terminal_obeys_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "\x1b[2J\n.info").write_text("{}")
    (tmp_path / os.fsdecode(b"\xff.info")).write_text("{}")
    assert run(["adopt", "--from", "tusd", str(tmp_path)], {}) == 1
    told = capsys.readouterr().out
    assert "\\x1b[2J\\n: left out" in told
    assert "\\udcff: left out" in told


@pytest.mark.parametrize("number", [0, -1, 1 << 70])
def test_a_lock_that_names_no_process_holds_nothing(tusd: Tusd, number: int) -> None:
    tusd.upload("u", b"abc", 9)
    (tusd.path / "u.lock").write_text(f"{number}\n")
    assert adopt(TusdDirectory, tusd.path)["u"].verdict is Verdict.ADOPT


# --- servers that are there already, and those that are still there ------------------------------


def test_what_was_adopted_in_its_place_is_told_where_it_is_to_go_into_another(
    loft: Fileloft, tmp_path: Path
) -> None:
    loft.unfinished("u", [b"abc", b"de"], 9)
    adopt(FileloftDirectory, loft.path)
    loft.parts("u", [b"abc"])  # of a crash, which are none of its business in another directory
    into = tmp_path / "into"
    into.mkdir()
    assert_left(FileloftDirectory, loft.path, "this server's already", into)
    assert_left(TusdDirectory, loft.path, "this server's already", into)


@pytest.mark.parametrize("server", [FileloftDirectory, TusdDirectory])
def test_a_record_that_was_written_meanwhile_is_not_replaced(
    tmp_path: Path, server: type[FileloftDirectory | TusdDirectory]
) -> None:
    data = tmp_path / "data"
    if server is TusdDirectory:
        Tusd(data).upload("u", b"abc", None)
    else:
        Fileloft(data).unfinished("u", [b"abc", b"de"], 9)
    directory = server(data, "/files/", in_place=True)
    carrier = Carrier(data, in_place=True, file_mode=0o600)
    assert directory.names() == ["u"]
    plan: Plan = directory.plan("u")
    if server is TusdDirectory:
        Tusd(data).record("u", 9)
    else:
        loft = Fileloft(data)
        loft.write("u_part_2", b"fg")
        loft.record("u", 9, 7)
    written = (data / "u.info").read_bytes()
    assert "the other server still runs" in attempt(carrier, plan).why
    assert (data / "u.info").read_bytes() == written
    assert adopt(server, data)["u"].verdict is Verdict.ADOPT  # once it does not run any more
    assert (data / "u").read_bytes() == (b"abc" if server is TusdDirectory else b"abcdefg")


def test_where_there_are_no_links_the_original_record_is_copied(
    tusd: Tusd, monkeypatch: pytest.MonkeyPatch
) -> None:
    tusd.upload("u", b"abc", 9)
    original = (tusd.path / "u.info").read_bytes()

    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert adopt(TusdDirectory, tusd.path)["u"].verdict is Verdict.ADOPT
    assert (tusd.path / "u.info.tusd").read_bytes() == original
    assert {entry.name for entry in tusd.path.iterdir()} == {"u", "u.info", "u.info.tusd"}


def test_a_short_write_goes_on_where_it_ended(
    loft: Fileloft, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    write = os.write
    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(os, "write", lambda to, piece: write(to, bytes(piece)[:2]))
    loft.unfinished("u", [b"abc", b"defgh"], 9)
    assert adopt(FileloftDirectory, loft.path)["u"].verdict is Verdict.ADOPT
    assert (loft.path / "u").read_bytes() == b"abcdefgh"


def test_what_root_takes_into_another_directory_belongs_to_who_has_it(
    tusd: Tusd, tmp_path: Path
) -> None:
    tusd.upload("u", b"abc", 3)
    into = tmp_path / "into"
    into.mkdir()
    if os.geteuid() == 0:
        os.chown(into, 12345, 12346)
    adopt(TusdDirectory, tusd.path, into)
    assert (into / "u").stat().st_uid == into.stat().st_uid


def test_a_line_that_is_printed_is_one() -> None:
    assert render_plan(left_out("ü", "a\nb")) == "ü: left out, a\\nb"
