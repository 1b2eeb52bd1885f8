"""The ``.info`` file: what is written is read again, and the mark is never torn."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import StoreError
from fileloft_fast.model import Checksum, Concat, Metadata, Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import NO_MARK, parse_info, render_info, render_mark
from fileloft_fast.stores.running import Running, parse_digests, render_digests
from fileloft_fast.tus.headers import parse_metadata, render_metadata

ID = UploadId("a" * 32)
pairs = st.lists(
    st.tuples(st.text("abcXYZ-_", min_size=1, max_size=12), st.binary(max_size=80)),
    max_size=6,
    unique_by=lambda pair: pair[0],
)


def info_of(metadata: Metadata, **fields: Any) -> UploadInfo:
    return UploadInfo(id=ID, offset=Offset(0), metadata=metadata, **{"length": 5, **fields})


@given(
    pairs,
    st.one_of(st.none(), st.integers(0, 2**63 - 1)),
    st.sampled_from([(Concat.NONE, ""), (Concat.PARTIAL, "partial"), (Concat.FINAL, "final;/f/a")]),
    st.integers(0, 2**63 - 1),
    st.fixed_dictionaries({"owner": st.text(max_size=255), "awaits_end": st.booleans()}),
)
def test_what_is_written_is_read_again_and_the_mark_lies_within_one_sector(
    kept: list[tuple[str, bytes]],
    length: int | None,
    concat: tuple[Concat, str],
    mark: int,
    rest: dict[str, Any],
) -> None:
    metadata = parse_metadata(render_metadata(kept)) if kept else Metadata("", ())
    info = info_of(metadata, length=length, concat=concat[0], concat_raw=concat[1], **rest)
    contents = render_info(info)
    record = parse_info(contents, ID)
    assert record.info == info
    assert record.unverified_from is None
    at = record.mark_at
    assert at is not None
    assert at // 512 == (at + len(NO_MARK) - 1) // 512
    marked = contents[:at] + render_mark(mark) + contents[at + len(NO_MARK) :]
    assert parse_info(marked, ID).unverified_from == mark
    assert json.loads(marked)["fast"]["unverified_from"] == mark


def test_only_what_an_upload_has_is_written() -> None:
    plain = json.loads(render_info(info_of(Metadata("", ()))))["fast"]
    assert sorted(plain) == ["concat", "created_at", "metadata", "unverified_from", "version"]
    awaiting = json.loads(render_info(info_of(Metadata("", ()), awaits_end=True)))["fast"]
    assert awaiting == {**plain, "awaits_end": True}


def test_the_fields_are_those_of_fileloft() -> None:
    metadata = parse_metadata("filename d29ybGQ=,is_confidential")
    record = json.loads(render_info(info_of(metadata, expires_at=0.0)))
    record.pop("fast")
    assert record == {
        "id": ID,
        "size": 5,
        "offset": 0,
        "metadata": {"filename": "world", "is_confidential": None},
        "size_is_deferred": False,
        "expires_at": "1970-01-01T00:00:00Z",
        "is_partial": False,
        "is_final": False,
        "partial_uploads": [],
        "storage": {},
    }


def test_a_file_that_fileloft_wrote_is_understood() -> None:
    contents = (
        b'{"id":"x","size":3,"offset":3,"metadata":{"filename":"w\xc3\xb6rld","k":null},'
        b'"size_is_deferred":false,"expires_at":null,"is_partial":true,"is_final":false,'
        b'"partial_uploads":[],"storage":{}}'
    )
    record = parse_info(contents, ID)
    assert record.mark_at is None
    assert record.info.length == 3
    assert record.info.concat is Concat.PARTIAL
    assert record.info.metadata.value("filename") == "wörld".encode()
    assert record.info.metadata.raw == "filename d8O2cmxk,k"


@given(st.binary(max_size=60))
def test_any_other_file_is_a_store_error(contents: bytes) -> None:
    with pytest.raises(StoreError):
        parse_info(contents, ID)


@pytest.mark.parametrize("hashes", [("sha256",), ("sha512",), ("sha256", "sha512")])
@given(pairs, st.integers(0, 2**63 - 1), st.integers(0, 300))
def test_the_slot_lies_with_the_mark_within_one_sector(
    hashes: tuple[str, ...], kept: list[tuple[str, bytes]], mark: int, size: int
) -> None:
    metadata = parse_metadata(render_metadata(kept)) if kept else Metadata("", ())
    expected = (Checksum(hashes[0], b"\7" * (64 if hashes[0] == "sha512" else 32)),)
    info = info_of(metadata, hashes=hashes, expected=expected, owner="who")
    running = Running.begun(hashes, b"x" * size)
    contents = render_info(info, running.value())
    record = parse_info(contents, ID)
    assert record.info == info
    assert record.slot is not None
    assert record.mark_at is not None
    at, end = record.slot.at, record.mark_at + len(NO_MARK)
    assert at // 512 == (end - 1) // 512
    assert record.slot.value.rstrip() == running.value()
    read = json.loads(contents)["fast"]
    assert (read["digests"]["at"], read["hashes"]) == (size, list(hashes))
    digests = tuple(running.checksums())
    in_hex = record.slot.filled(render_digests(digests))
    changed = contents[:at] + in_hex + contents[at + len(in_hex) : record.mark_at]
    changed += render_mark(mark) + contents[end:]
    again = parse_info(changed, ID)
    assert (again.info, again.unverified_from, again.mark_at) == (info, mark, record.mark_at)
    assert again.slot is not None
    assert parse_digests(again.slot.value, hashes) == digests
    assert json.loads(changed)["fast"]["digests"] == {
        each.algorithm: each.digest.hex() for each in digests
    }


def test_a_hash_that_this_version_does_not_know_is_left_away() -> None:
    contents = render_info(info_of(Metadata("", ()), hashes=("sha256",)))
    newer = contents.replace(b'["sha256"]', b'["sha256","blake4"]')
    assert parse_info(newer, ID).info.hashes == ("sha256",)


def test_a_file_that_begins_with_a_space_and_has_no_slot_is_read() -> None:
    contents = json.dumps({"id": ID, "size": 9, "offset": 3, "metadata": {"digests": "x"}})
    assert parse_info(f" {contents}".encode(), ID).info.length == 9
