"""What becomes of each thing that tusd can leave: continued where it lies, or left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fileloft_fast.model import UploadId, UploadInfo
from fileloft_fast.stores.fs.adoption import Carrier, Plan, TusdDirectory, Verdict, attempt
from fileloft_fast.stores.fs.info_file import parse_info
from tests.adoption.fileloft import tree
from tests.adoption.tusd import Tusd

if TYPE_CHECKING:
    from pathlib import Path

ID = "24e533e02ec3bc40c387f1a0e460e216"


@pytest.fixture
def tusd(tmp_path: Path) -> Tusd:
    return Tusd(tmp_path / "data")


def adopt(path: Path, into: Path | None = None) -> dict[str, Plan]:
    """Adopt everything and return what became of it."""
    directory = TusdDirectory(path, "/files/", in_place=into is None)
    carrier = Carrier(into or path, in_place=into is None, file_mode=0o600)
    return {
        name: attempt(carrier, carrier.settled(directory.plan(name))) for name in directory.names()
    }


def info_of(path: Path, name: str = ID) -> UploadInfo:
    return parse_info((path / f"{name}.info").read_bytes(), UploadId(name)).info


def assert_untouched(tusd: Tusd, why: str, name: str = ID) -> None:
    """Assert that an upload is left out because of *why*, and nothing is changed."""
    before = tree(tusd.path)
    plans = adopt(tusd.path)
    assert plans[name].verdict is Verdict.LEFT_OUT
    assert why in plans[name].why
    assert tree(tusd.path) == before


@pytest.mark.parametrize("size", [3, 9, None])
def test_an_upload_stays_where_it_is_with_its_bytes_as_the_offset(
    tusd: Tusd, size: int | None
) -> None:
    tusd.upload(ID, b"abc", size)
    before = (tusd.path / ID).stat()
    assert adopt(tusd.path)[ID].verdict is Verdict.ADOPT
    after = (tusd.path / ID).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    info = info_of(tusd.path)
    assert (info.length, info.offset) == (size, 3)


def test_the_original_record_stays_so_that_the_way_back_is_a_rename(tusd: Tusd) -> None:
    tusd.upload(ID, b"abc", 9)
    original = (tusd.path / f"{ID}.info").read_bytes()
    adopt(tusd.path)
    assert (tusd.path / f"{ID}.info.tusd").read_bytes() == original
    (tusd.path / f"{ID}.info.tusd").rename(tusd.path / f"{ID}.info")
    assert adopt(tusd.path)[ID].verdict is Verdict.ADOPT


def test_metadata_are_kept_as_go_wrote_them(tusd: Tusd) -> None:
    tusd.record(ID, 9)
    path = tusd.path / f"{ID}.info"
    # encoding/json: < as an escape, and what was not UTF-8 as U+FFFD, so that it is lost already
    path.write_text(
        path.read_text().replace(
            '"MetaData":{}', '"MetaData":{"filename":"w\\u00f6\\u003crld","k":"","x":"\\ufffd"}'
        )
    )
    (tusd.path / ID).touch()
    adopt(tusd.path)
    assert dict(info_of(tusd.path).metadata.pairs) == {
        "filename": "wö<rld".encode(),
        "k": b"",
        "x": "\ufffd".encode(),
    }


@pytest.mark.parametrize("key", ["two words", "a,b", "ü", ""])
def test_a_key_that_a_hook_chose_and_no_header_can_carry_is_left_away(tusd: Tusd, key: str) -> None:
    tusd.upload(ID, b"abc", 9, MetaData={key: "1", "b": "2"})
    assert adopt(tusd.path)[ID].why == f"without the metadata {key!r}"
    assert info_of(tusd.path).metadata.raw == "b Mg=="


def test_partial_uploads_and_the_final_one_stay_what_they_are(tusd: Tusd) -> None:
    tusd.upload("p1", b"abc", 3, IsPartial=True)
    tusd.upload(ID, b"abcabc", 6, IsFinal=True, PartialUploads=["p1", "p1"])
    adopt(tusd.path)
    assert info_of(tusd.path, "p1").concat_raw == "partial"
    assert info_of(tusd.path).concat_raw == "final;/files/p1 /files/p1"
    assert info_of(tusd.path).partials == ("p1", "p1")


def test_a_joining_that_was_cut_short_is_done_again_from_whole_partial_uploads(tusd: Tusd) -> None:
    tusd.upload("p1", b"abc", 3, IsPartial=True)
    tusd.upload("p2", b"de", 2, IsPartial=True)
    tusd.upload(ID, b"abcd", 5, IsFinal=True, PartialUploads=["p1", "p2"])
    assert adopt(tusd.path)[ID].why == "joined again: tusd ended in the middle of it"
    assert (tusd.path / ID).read_bytes() == b"abcde"
    assert info_of(tusd.path).offset == 5


@pytest.mark.parametrize("partials", [["p1"], ["p1", "p3"], ["p1", "../p2"]])
def test_a_joining_that_was_cut_short_is_damage_without_them(
    tusd: Tusd, partials: list[str]
) -> None:
    tusd.upload("p1", b"abc", 3, IsPartial=True)
    tusd.upload(ID, b"abcd", 5, IsFinal=True, PartialUploads=partials)
    plans = adopt(tusd.path)
    assert plans[ID].why == "damaged: joined to 4 of 5 bytes"
    assert (tusd.path / ID).read_bytes() == b"abcd"


def test_more_bytes_than_its_length_are_damage(tusd: Tusd) -> None:
    tusd.upload(ID, b"abcd", 3)
    assert_untouched(tusd, "damaged: 4 bytes are there of 3")


def test_a_record_without_bytes_is_told(tusd: Tusd) -> None:
    tusd.record(ID, 3)
    assert_untouched(tusd, f"there is no file {tusd.path / ID}")


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b'{"Size":-1}', b'{"Size":"1"}'])
def test_a_record_that_cannot_be_read_is_told(tusd: Tusd, contents: bytes) -> None:
    (tusd.path / f"{ID}.info").write_bytes(contents)
    (tusd.path / ID).write_bytes(b"abc")
    assert_untouched(tusd, "cannot be read")


def test_a_record_of_another_store_is_told(tusd: Tusd) -> None:
    tusd.upload(ID, b"", 3, Storage={"Type": "s3store", "Bucket": "b", "Key": ID})
    assert_untouched(tusd, "its bytes are in another store: s3store")


def test_a_record_that_was_renamed_is_told(tusd: Tusd) -> None:
    tusd.upload(ID, b"abc", 3, ID="another")
    assert_untouched(tusd, "its .info is the one of another")


@pytest.mark.parametrize("name", ["project/upload", "a.b", "a+b", "with space"])
def test_an_id_of_a_hook_that_has_no_url_here_is_told(tusd: Tusd, name: str) -> None:
    tusd.record(name, 9)
    (tusd.path / name).write_bytes(b"abc")
    assert_untouched(tusd, "this server has no URL for such an id", name)


def test_an_upload_that_a_living_process_holds_is_left_alone(tusd: Tusd) -> None:
    tusd.upload(ID, b"abc", 9)
    (tusd.path / f"{ID}.lock").write_text(f"{os.getpid()}\n")
    assert_untouched(tusd, f"process {os.getpid()} holds its lock")


@pytest.mark.parametrize("contents", ["", "nobody\n", None])
def test_a_lock_that_nobody_holds_goes(tusd: Tusd, contents: str | None) -> None:
    if contents is None:
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        contents = f"{ended.pid}\n"
    tusd.upload(ID, b"abc", 9)
    (tusd.path / f"{ID}.lock").write_text(contents)
    (tusd.path / f"{ID}.stop").touch()
    assert adopt(tusd.path)[ID].verdict is Verdict.ADOPT
    assert {entry.name for entry in tusd.path.iterdir()} == {ID, f"{ID}.info", f"{ID}.info.tusd"}


def storage(told: str, path: str) -> dict[str, Any]:
    return {"Type": "filestore", "InfoPath": f"{told}/{ID}.info", "Path": path}


@pytest.mark.parametrize("told", ["data", "/srv/tusd-data/data", "."])
def test_bytes_under_another_name_are_found_wherever_tusd_was_started(
    tusd: Tusd, told: str
) -> None:
    tusd.record(ID, 9, Storage=storage(told, f"{told}/inbox/film.mp4"))
    elsewhere = tusd.path / "inbox" / "film.mp4"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"abc")
    adopt(tusd.path)
    assert (tusd.path / ID).samefile(elsewhere)  # where the hook wants it, and where we look


def test_bytes_at_an_absolute_path_are_found(tusd: Tusd, tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"abc")
    tusd.record(ID, 9, Storage=storage("data", str(tmp_path / "film.mp4")))
    adopt(tusd.path)
    assert (tusd.path / ID).samefile(tmp_path / "film.mp4")


def test_bytes_that_are_not_a_file_are_not_taken(tusd: Tusd, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"abc")
    tusd.record(ID, 9)
    (tusd.path / ID).symlink_to(tmp_path / "secret")
    assert_untouched(tusd, "there is no file")


def test_a_record_of_an_old_version_without_storage_is_read(tusd: Tusd) -> None:
    tusd.upload(ID, b"abc", 9, Storage=None, MetaData=None)
    assert adopt(tusd.path)[ID].verdict is Verdict.ADOPT


def test_adopting_again_changes_nothing(tusd: Tusd) -> None:
    tusd.upload(ID, b"abc", 9)
    adopt(tusd.path)
    before = tree(tusd.path)
    assert adopt(tusd.path)[ID].verdict is Verdict.KNOWN
    assert tree(tusd.path) == before


def test_into_another_directory_nothing_of_tusds_is_touched(tusd: Tusd, tmp_path: Path) -> None:
    tusd.upload(ID, b"abc", 9)
    tusd.upload("whole", b"hello", 5)
    (tusd.path / f"{ID}.lock").write_text("nobody\n")
    before = tree(tusd.path)
    into = tmp_path / "into"
    into.mkdir()
    adopt(tusd.path, into)
    assert {entry.name for entry in into.iterdir()} == {ID, f"{ID}.info", "whole", "whole.info"}
    assert not (into / ID).samefile(tusd.path / ID)  # it is going to be written to
    assert (into / "whole").samefile(tusd.path / "whole")  # and this one never
    assert tree(tusd.path) == before
    assert {plan.verdict for plan in adopt(tusd.path, into).values()} == {Verdict.KNOWN}


def test_into_another_directory_an_upload_that_went_on_is_not_set_back(
    tusd: Tusd, tmp_path: Path
) -> None:
    tusd.upload(ID, b"abc", 9)
    into = tmp_path / "into"
    into.mkdir()
    adopt(tusd.path, into)
    with (into / ID).open("ab") as data:
        data.write(b"def")
    assert adopt(tusd.path, into)[ID].verdict is Verdict.KNOWN
    assert (into / ID).read_bytes() == b"abcdef"
    (tusd.path / ID).write_bytes(b"abcdefg")
    assert "it has gone on since" in adopt(tusd.path, into)[ID].why


def test_into_another_directory_an_upload_of_that_name_is_not_overwritten(
    tusd: Tusd, tmp_path: Path
) -> None:
    tusd.upload(ID, b"abc", 9)
    other = Tusd(tmp_path / "into")
    other.upload(ID, b"xyz", 9)
    before = tree(other.path)
    assert "an upload of that id is in" in adopt(tusd.path, other.path)[ID].why
    assert tree(other.path) == before


def test_a_tusd_that_still_writes_is_noticed(tusd: Tusd) -> None:
    tusd.upload(ID, b"abc", 9)
    directory = TusdDirectory(tusd.path, "/files/", in_place=True)
    plan = directory.plan(ID)
    with (tusd.path / ID).open("ab") as data:
        data.write(b"d")
    carrier = Carrier(tusd.path, in_place=True, file_mode=0o600)
    assert "the other server still runs" in attempt(carrier, plan).why
    assert not (tusd.path / f"{ID}.info.tusd").exists()
