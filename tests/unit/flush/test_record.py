"""The record in the bucket: what is written is read again, and what is not ours is left alone."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import StoreError
from fileloft_fast.flush.record import (
    Record,
    RecordState,
    Tail,
    info_of,
    parse_record,
    record_key,
    render_record,
    tail_key,
)
from fileloft_fast.model import Checksum, Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import parse_info, render_info
from fileloft_fast.stores.remote.objects import Receipt
from fileloft_fast.stores.running import HASHES, Running
from fileloft_fast.tus.headers import parse_metadata

ID = UploadId("a" * 32)
PART = 16 * 1024 * 1024
sizes = st.integers(0, 2**53)
crcs = st.integers(0, 2**32 - 1)
texts = st.text(max_size=20)
receipts = st.one_of(
    st.lists(st.tuples(st.one_of(st.just(PART), sizes), texts, crcs), max_size=5).map(
        lambda parts: tuple(Receipt(n, *part) for n, part in enumerate(parts, 1))
    ),
    st.builds(Receipt, st.just(0), sizes, texts, crcs).map(lambda one: (one,)),
)
checksums = st.lists(
    st.builds(Checksum, st.sampled_from(HASHES), st.binary(min_size=32, max_size=32)),
    unique_by=lambda each: each.algorithm,
).map(tuple)
records = st.builds(
    Record,
    info=st.builds(
        UploadInfo,
        id=st.just(ID),
        offset=sizes.map(Offset),
        length=st.one_of(st.none(), sizes),
        metadata=st.sampled_from([parse_metadata("filename d29ybGQ=,hidden")]),
        concat=st.sampled_from(Concat),
        concat_raw=texts,
        owner=texts,
        awaits_end=st.booleans(),
        hashes=st.sampled_from(((), ("sha256",), ("sha512", "sha256"))),
        expected=checksums,
        digests=checksums,
        partials=st.lists(st.just(UploadId("b" * 32)), max_size=2).map(tuple),
        created_at=st.floats(0, 2**40),
        modified_at=st.floats(0, 2**40),
    ),
    state=st.sampled_from(RecordState),
    owner=texts,
    session=texts,
    part_bytes=st.one_of(st.just(PART), sizes),
    receipts=receipts,
    tails=st.lists(st.builds(Tail, texts, sizes, sizes, crcs), max_size=3).map(tuple),
    object_bytes=sizes,
    encoding=st.sampled_from(["", "zstd"]),
    running=st.binary(max_size=300).map(lambda data: Running.begun(HASHES, data).value()),
)


def record_of(**fields: Any) -> Record:
    info = UploadInfo(id=ID, offset=Offset(3), length=5, metadata=parse_metadata("filename YQ=="))
    return Record(**{"info": info, **fields})


@given(records)
def test_what_is_written_is_read_again(record: Record) -> None:
    assert parse_record(render_record(record), ID) == record


def test_an_upload_that_awaits_nothing_says_nothing_of_an_end() -> None:
    fast = json.loads(render_record(record_of()))["fast"]
    assert not {"awaits_end", "hashes", "expected", "digests", "running"} & set(fast)


def test_a_tool_that_reads_info_files_reads_the_fields_of_a_record() -> None:
    info = UploadInfo(
        id=ID,
        offset=Offset(3),
        length=None,
        metadata=parse_metadata("filename d29ybGQ=,is_confidential"),
        expires_at=0.0,
    )
    on_disk = json.loads(render_info(info))
    in_bucket = json.loads(render_record(record_of(info=info)))
    assert on_disk.pop("fast")
    assert in_bucket.pop("fast")
    assert in_bucket == on_disk


def test_the_reader_of_info_files_finds_the_upload_in_a_record() -> None:
    contents = render_record(record_of())
    in_file = json.loads(contents)
    del in_file["fast"]  # the file system's own part ends with a mark
    info = parse_info(json.dumps(in_file).encode(), ID).info
    assert (info.length, info.offset, info.metadata.value("filename")) == (5, 3, b"a")


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"id":1}',
        # tusd
        b'{"ID":"a","Size":3,"SizeIsDeferred":false,"Offset":0,"MetaData":null,"IsPartial":false}',
        # fileloft
        b'{"id":"%b","size":3,"offset":3,"metadata":{},"is_partial":false}' % ID.encode(),
        render_record(record_of()).replace(ID.encode(), b"b" * 32),
    ],
)
def test_an_object_of_another_program_is_no_record(contents: bytes) -> None:
    assert parse_record(contents, ID) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"state":"open"', b'"state":"lost"'),
        (b'"offset":3', b'"offset":"three"'),
        (b'"version":1', b'"version":2'),
        (b'"metadata":"filename YQ=="', b'"metadata":"filename !"'),
    ],
)
def test_a_record_of_ours_that_cannot_be_read_is_an_error_and_never_a_missing_upload(
    before: bytes, after: bytes
) -> None:
    contents = render_record(record_of())
    assert before in contents
    with pytest.raises(StoreError, match=ID):
        parse_record(contents.replace(before, after), ID)


def test_ten_thousand_receipts_take_less_than_half_a_megabyte() -> None:
    parts = tuple(
        Receipt(n, PART, "d41d8cd98f00b204e9800998ecf8427e", 2**32 - n) for n in range(1, 10_001)
    )
    record = record_of(part_bytes=PART, receipts=parts)
    contents = render_record(record)
    assert len(contents) < 500_000
    assert parse_record(contents, ID) == record


def test_no_two_writes_are_alike() -> None:
    record = record_of()
    assert render_record(record.renewed()) != render_record(record)
    assert record.renewed(owner="x").owner == "x"


def test_an_upload_expires_by_its_last_byte_and_by_the_settings_of_today() -> None:
    info = UploadInfo(id=ID, offset=Offset(0), length=1, modified_at=100.0, expires_at=7.0)
    record = parse_record(render_record(record_of(info=info)), ID)
    assert record is not None
    assert info_of(record, 50).expires_at == 150.0
    assert info_of(record, None).expires_at is None


def test_keys_lie_beside_the_object_and_a_tail_never_has_the_key_of_another() -> None:
    assert record_key("in/", ID) == f"in/{ID}.info"
    assert tail_key("in/", ID, 1.5) != tail_key("in/", ID, 1.5)
    assert re.fullmatch(f"in/{ID}.tail-00000001[0-9a-f]{{16}}", tail_key("in/", ID, 1.5))


def test_what_the_session_holds_is_the_sum_of_the_receipts() -> None:
    assert record_of(receipts=(Receipt(1, 7, "a", 0), Receipt(2, 5, "b", 0))).shipped == 12
