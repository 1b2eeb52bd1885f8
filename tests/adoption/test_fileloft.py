"""What becomes of each thing that fileloft can leave: continued from its parts, or left alone."""

from __future__ import annotations

import errno
import fcntl
import os
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fileloft_fast.model import UploadId
from fileloft_fast.stores.fs.adoption import (
    Carrier,
    FileloftDirectory,
    Plan,
    Verdict,
    attempt,
    decide,
)
from fileloft_fast.stores.fs.info_file import parse_info
from tests.adoption.fileloft import Fileloft, tree

ID = "7f3a0c1e-9d57-4b0e-8a43-0d5a3c1f2b6e"


@pytest.fixture
def loft(tmp_path: Path) -> Fileloft:
    return Fileloft(tmp_path / "data")


def adopt(path: Path, **options: Any) -> dict[str, Plan]:
    """Adopt everything in place and return what became of it."""
    directory = FileloftDirectory(path, "/files/", in_place=True, **options)
    carrier = Carrier(path, in_place=True, file_mode=0o600)
    return {name: attempt(carrier, directory.plan(name)) for name in directory.names()}


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir() if entry.is_file()}


def assert_untouched(loft: Fileloft, why: str) -> None:
    """Assert that the one upload is left out because of *why*, and nothing is changed."""
    before = tree(loft.path)
    plans = adopt(loft.path)
    assert plans[ID].verdict is Verdict.LEFT_OUT
    assert why in plans[ID].why
    assert tree(loft.path) == before


@pytest.mark.parametrize("pieces", [[], [b"abc"], [b"abc", b"de"], [b"a"] * 12])
@pytest.mark.parametrize("size", [100, None])
def test_parts_are_joined_in_the_order_of_their_numbers(
    loft: Fileloft, pieces: list[bytes], size: int | None
) -> None:
    pieces = [bytes([65 + i]) * len(piece) for i, piece in enumerate(pieces)]
    loft.unfinished(ID, pieces, size)
    plan = adopt(loft.path)[ID]
    assert plan.verdict is Verdict.ADOPT
    assert names(loft.path) == {ID, f"{ID}.info"}
    assert (loft.path / ID).read_bytes() == b"".join(pieces)
    record = parse_info((loft.path / f"{ID}.info").read_bytes(), UploadId(ID))
    assert record.mark_at is not None
    assert record.info.length == size
    assert record.info.offset == sum(map(len, pieces))


@settings(deadline=None, max_examples=40)  # each one syncs
@given(st.lists(st.binary(max_size=9), max_size=14), st.integers(0, 20))
def test_whatever_the_pieces_were_the_bytes_are_theirs(pieces: list[bytes], more: int) -> None:
    data = b"".join(pieces)
    with TemporaryDirectory() as folder:
        loft = Fileloft(Path(folder))
        loft.unfinished(ID, pieces, len(data) + more)
        assert adopt(loft.path)[ID].verdict is not Verdict.LEFT_OUT
        assert (loft.path / ID).read_bytes() == data
        assert names(loft.path) == {ID, f"{ID}.info"}


def test_one_part_becomes_the_upload_without_a_copy(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    part = (loft.path / f"{ID}_part_0").stat()
    adopt(loft.path)
    data = (loft.path / ID).stat()
    assert (data.st_ino, data.st_mtime_ns) == (part.st_ino, part.st_mtime_ns)


def test_an_adopted_upload_is_as_old_as_its_last_byte(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc", b"de"], 9)
    last = (loft.path / f"{ID}_part_1").stat().st_mtime_ns
    adopt(loft.path)
    assert (loft.path / ID).stat().st_mtime_ns == last


def test_metadata_are_kept_a_key_alone_too(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9, metadata={"filename": "wörld.txt", "is_private": None})
    adopt(loft.path)
    info = parse_info((loft.path / f"{ID}.info").read_bytes(), UploadId(ID)).info
    assert info.metadata.raw == "filename d8O2cmxkLnR4dA==,is_private"


def test_a_key_that_no_header_can_carry_is_left_away_and_told(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9, metadata={"a": "1", "two words": "2"})
    plan = adopt(loft.path)[ID]
    assert plan.verdict is Verdict.ADOPT
    assert plan.why == "without the metadata 'two words'"
    info = parse_info((loft.path / f"{ID}.info").read_bytes(), UploadId(ID)).info
    assert info.metadata.raw == "a MQ=="


def test_a_length_that_came_with_a_deferral_counts(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9, size_is_deferred=True)
    adopt(loft.path)
    info = parse_info((loft.path / f"{ID}.info").read_bytes(), UploadId(ID)).info
    assert info.length == 9


def test_a_partial_upload_stays_one(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9, is_partial=True)
    adopt(loft.path)
    info = parse_info((loft.path / f"{ID}.info").read_bytes(), UploadId(ID)).info
    assert info.concat_raw == "partial"


def test_what_is_finished_is_left_as_it_is(loft: Fileloft) -> None:
    loft.finished(ID, b"hello")
    before = tree(loft.path)
    assert adopt(loft.path)[ID].verdict is Verdict.KNOWN
    assert tree(loft.path) == before


@pytest.mark.parametrize("gone", [0, 1, 2, 3])
def test_a_server_that_ended_while_it_joined_the_parts_has_lost_nothing(
    loft: Fileloft, gone: int
) -> None:
    pieces = [b"abc", b"de", b"f"]
    loft.unfinished(ID, pieces, 6)
    loft.write(ID, b"abcd" if gone == 0 else b"abcdef")
    for number in range(gone):
        (loft.path / f"{ID}_part_{number}").unlink()
    assert adopt(loft.path)[ID].verdict is not Verdict.LEFT_OUT
    assert (loft.path / ID).read_bytes() == b"abcdef"
    assert names(loft.path) == {ID, f"{ID}.info"}


def test_a_last_part_of_which_no_client_was_told_is_not_counted(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    loft.write(f"{ID}_part_1", b"de")  # and the server ended before it wrote .info
    adopt(loft.path)
    assert (loft.path / ID).read_bytes() == b"abc"
    assert names(loft.path) == {ID, f"{ID}.info"}


def test_a_chunk_that_was_never_acknowledged_among_the_parts_is_left_alone(loft: Fileloft) -> None:
    loft.parts(ID, [b"abc", b"de", b"de"])  # the client sent "de" again
    loft.record(ID, 9, 5)
    assert_untouched(loft, "bytes of which no client was told")


@pytest.mark.parametrize(
    ("kept", "why"), [([0, 2], "one of its parts is missing"), ([0], "3 byte")]
)
def test_acknowledged_bytes_that_are_missing_are_told(
    loft: Fileloft, kept: list[int], why: str
) -> None:
    loft.unfinished(ID, [b"abc", b"de", b"f"], 9)
    for number in {0, 1, 2} - set(kept):
        (loft.path / f"{ID}_part_{number}").unlink()
    assert_untouched(loft, why)


def test_a_finished_upload_that_fileloft_emptied_is_told(loft: Fileloft) -> None:
    loft.finished(ID, b"hello")
    (loft.path / ID).write_bytes(b"")
    assert_untouched(loft, "damaged: 0 of 5 bytes are there")


def test_an_upload_whose_bytes_are_gone_is_told(loft: Fileloft) -> None:
    loft.record(ID, 9, 5)
    assert_untouched(loft, "damaged: 0 of 5 bytes are there")


@pytest.mark.parametrize("cut", [0, 30])
def test_an_info_that_a_crash_cut_off_is_told(loft: Fileloft, cut: int) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    info = loft.path / f"{ID}.info"
    info.write_bytes(info.read_bytes()[:cut])
    assert_untouched(loft, "cannot be read")


def test_an_offset_behind_the_length_is_told(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 2)
    assert_untouched(loft, "its offset 3 lies behind its length 2")


def test_bytes_that_its_info_does_not_know_are_never_overwritten(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    loft.write(ID, b"abcdef")
    assert_untouched(loft, "6 bytes lie there")


def test_a_link_is_not_followed(loft: Fileloft, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"abc")
    loft.record(ID, 9, 3)
    (loft.path / f"{ID}_part_0").symlink_to(tmp_path / "secret")
    assert_untouched(loft, "damaged: 0 of 3 bytes")


def test_an_upload_that_a_fileloft_holds_is_left_alone(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    lock = os.open(loft.path / "locks" / f"{ID}.lock", os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert_untouched(loft, "a fileloft that runs holds its lock")
    finally:
        os.close(lock)
    assert adopt(loft.path)[ID].verdict is Verdict.ADOPT


@pytest.mark.parametrize("name", [".hidden", "with.dot", "ü", "a" * 129, "-dash"])
def test_an_id_that_has_no_url_here_is_told(loft: Fileloft, name: str) -> None:
    loft.unfinished(name, [b"abc"], 9)
    before = tree(loft.path)
    plan = adopt(loft.path)[name]
    assert (plan.verdict, plan.why) == (
        Verdict.LEFT_OUT,
        "this server has no URL for such an id",
    )
    assert tree(loft.path) == before


def test_an_emptied_final_upload_is_joined_again_while_its_partial_ones_are_there(
    loft: Fileloft,
) -> None:
    for name, data in (("p1", b"abc"), ("p2", b"de")):
        loft.finished(name, data, is_partial=True)
    loft.finished(ID, b"abcde", is_final=True, partial_uploads=["p1", "p2", "p1"][:2])
    (loft.path / ID).write_bytes(b"")
    plan = adopt(loft.path)[ID]
    assert (plan.verdict, plan.why) == (
        Verdict.ADOPT,
        "joined again: fileloft lost its bytes",
    )
    assert (loft.path / ID).read_bytes() == b"abcde"
    assert (loft.path / "p1").read_bytes() == b"abc"
    info = parse_info((loft.path / f"{ID}.info").read_bytes(), UploadId(ID)).info
    assert info.concat_raw == "final;/files/p1 /files/p2"
    assert info.partials == ("p1", "p2")


@pytest.mark.parametrize("lost", ["p1", "p1.info"])
def test_an_emptied_final_upload_without_its_partial_ones_is_damaged(
    loft: Fileloft, lost: str
) -> None:
    for name, data in (("p1", b"abc"), ("p2", b"de")):
        loft.finished(name, data, is_partial=True)
    loft.finished(ID, b"abcde", is_final=True, partial_uploads=["p1", "p2"])
    (loft.path / ID).write_bytes(b"")
    (loft.path / lost).unlink()
    plan = adopt(loft.path)[ID]
    assert (plan.verdict, plan.why) == (Verdict.LEFT_OUT, "damaged: 0 of 5 bytes are there")
    assert (loft.path / ID).read_bytes() == b""


def test_a_final_upload_that_was_never_joined_is_told(loft: Fileloft) -> None:
    loft.record(ID, None, 0, is_final=True, size_is_deferred=False, partial_uploads=["p1"])
    assert_untouched(loft, "no client knows of it")


def test_an_upload_whose_name_looks_like_a_part_is_an_upload(loft: Fileloft) -> None:
    loft.unfinished("a", [b"x"], 9)
    loft.finished("a_part_1", b"hello")
    assert adopt(loft.path)["a"].verdict is Verdict.ADOPT
    assert (loft.path / "a").read_bytes() == b"x"
    assert (loft.path / "a_part_1").read_bytes() == b"hello"


def test_parts_that_belong_to_no_upload_are_left(loft: Fileloft) -> None:
    loft.parts("gone", [b"abc"])
    assert adopt(loft.path) == {}
    assert names(loft.path) == {"gone_part_0"}


def test_an_upload_that_is_deleted_meanwhile_is_nobodys_concern(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    directory = FileloftDirectory(loft.path, "/files/", in_place=True)
    carrier = Carrier(loft.path, in_place=True, file_mode=0o600)
    (name,) = directory.names()
    for path in loft.path.glob(f"{ID}*"):
        path.unlink()
    assert decide(carrier, directory, name).verdict is Verdict.KNOWN


def test_a_disk_that_does_not_answer_leaves_an_upload_out(
    loft: Fileloft, monkeypatch: pytest.MonkeyPatch
) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    directory = FileloftDirectory(loft.path, "/files/", in_place=True)
    carrier = Carrier(loft.path, in_place=True, file_mode=0o600)

    def fail(_name: str) -> Plan:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(directory, "plan", fail)
    assert decide(carrier, directory, ID).why == "Input/output error"


def test_adopting_again_changes_nothing(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc", b"de"], 9)
    loft.unfinished("b" * 8, [], None)
    adopt(loft.path)
    before = tree(loft.path)
    assert {plan.verdict for plan in adopt(loft.path).values()} == {Verdict.KNOWN}
    assert tree(loft.path) == before


def test_parts_that_a_crash_left_of_an_adopted_upload_go(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    adopt(loft.path)
    loft.parts(ID, [b"abc", b"of which no client was told"])
    assert adopt(loft.path)[ID].verdict is Verdict.KNOWN
    assert names(loft.path) == {ID, f"{ID}.info"}
    assert (loft.path / ID).read_bytes() == b"abc"


def test_a_fileloft_that_went_on_after_the_adoption_is_told(loft: Fileloft) -> None:
    loft.unfinished(ID, [b"abc"], 9)
    adopt(loft.path)
    loft.write(f"{ID}_part_0", b"def")
    loft.record(ID, 9, 6)
    assert_untouched(loft, "3 bytes are missing")


def test_names_alone_tell_which_uploads_a_start_has_to_look_at(loft: Fileloft) -> None:
    loft.finished("whole", b"hello")
    loft.unfinished("none-yet", [], 9)
    loft.unfinished("some", [b"abc"], 9)
    directory = FileloftDirectory(loft.path, "/files/", in_place=True, thorough=False)
    assert directory.names() == ["none-yet", "some"]
    loft.write("whole.info.tmp", b"{")  # a start that was killed before it could replace the record
    assert directory.names() == ["none-yet", "some", "whole"]


def test_the_locks_go_when_no_fileloft_is_left_unless_one_is_held(loft: Fileloft) -> None:
    directory = FileloftDirectory(loft.path, "/files/", in_place=True)
    locks = loft.path / "locks"
    for name in ("a.lock", "b.lock"):
        (locks / name).touch()
    lock = os.open(locks / "a.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        directory.retire()
        assert [entry.name for entry in locks.iterdir()] == ["a.lock"]
    finally:
        os.close(lock)
    directory.retire()
    assert not locks.exists()
    directory.retire()


def test_chunks_of_one_size_are_told_apart_by_when_they_were_written(loft: Fileloft) -> None:
    sizes = list(accumulate([2, 2, 2]))
    loft.unfinished(ID, [b"ab", b"cd", b"cd"], 9)
    loft.record(ID, 9, sizes[1])  # written after the last part, so the doubled one is in between
    assert_untouched(loft, "bytes of which no client was told")
