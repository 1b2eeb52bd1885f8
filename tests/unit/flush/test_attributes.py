"""What an object is stored with, whatever the client wrote into its metadata."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fileloft_fast.flush.attributes import ID_NAME, LARGEST, attributes_of
from fileloft_fast.model import Checksum, Metadata, Offset, UploadId, UploadInfo
from fileloft_fast.tus.headers import render_metadata

ID: Final = UploadId("0123456789abcdef" * 2)


def info_of(*pairs: tuple[str, bytes]) -> UploadInfo:
    metadata = Metadata(render_metadata(pairs), pairs)
    return UploadInfo(id=ID, offset=Offset(0), length=10, metadata=metadata)


def metadata_of(*pairs: tuple[str, bytes]) -> dict[str, str]:
    return dict(attributes_of(info_of(*pairs)).metadata)


def test_an_upload_without_metadata_has_its_id() -> None:
    attributes = attributes_of(info_of())
    assert attributes.metadata == {"fileloft-id": ID}
    assert attributes.content_type == "application/octet-stream"
    assert attributes.disposition == "attachment"
    assert attributes.encoding == ""


def test_name_and_type_are_what_a_download_says() -> None:
    attributes = attributes_of(
        info_of(("filename", "Füße.png".encode()), ("filetype", b"image/png"))
    )
    assert attributes.content_type == "image/png"
    assert attributes.disposition == (
        "inline; filename=\"F__e.png\"; filename*=UTF-8''F%C3%BC%C3%9Fe.png"
    )
    assert attributes.metadata["filename"] == "F%C3%BC%C3%9Fe.png"
    assert attributes.metadata["filetype"] == "image/png"


def test_compressed_objects_say_so() -> None:
    assert attributes_of(info_of(), zstd=True).encoding == "zstd"


@pytest.mark.parametrize("named", [b"text/plain;\tcharset=utf-8", b"text/plain;  charset=utf-8"])
def test_a_media_type_is_signed_by_all_in_the_same_way(named: bytes) -> None:
    assert attributes_of(info_of(("type", named))).content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("key", "name"),
    [("relativePath", "relativepath"), ("user_id", "user-id"), ("a1-", "a1-"), ("x", "x")],
)
def test_names_are_made_what_all_stores_take(key: str, name: str) -> None:
    assert metadata_of((key, b"v")) == {ID_NAME: ID, name: "v"}


@pytest.mark.parametrize("key", ["1a", "-a", "a.b", "a:b", "a/b", "a b", "é", "a\n", "\x00", "_a"])
def test_names_that_some_store_does_not_take_are_left_out(key: str) -> None:
    assert metadata_of((key, b"v"), ("kept", b"v")) == {ID_NAME: ID, "kept": "v"}


@pytest.mark.parametrize("key", ["fileloft-id", "Fileloft-ID", "fileloft_id", "fileloft-crc32c"])
def test_a_client_cannot_set_what_is_ours(key: str) -> None:
    assert metadata_of((key, b"forged")) == {ID_NAME: ID}


def test_of_names_that_become_one_the_first_counts() -> None:
    assert metadata_of(("Name", b"1"), ("name", b"2")) == {ID_NAME: ID, "name": "1"}


def test_an_empty_value_is_left_out() -> None:
    assert metadata_of(("is_confidential", b"")) == {ID_NAME: ID}


def test_controls_and_bytes_that_are_no_text_are_encoded() -> None:
    assert metadata_of(("key", b"a\r\nX-Evil: 1\x00\xff %"))["key"] == (
        "a%0D%0AX-Evil:%201%00%FF%20%25"
    )


def test_a_value_for_which_there_is_no_room_makes_none_of_the_others_go() -> None:
    stored = metadata_of(("a", b"x"), ("big", b"y" * 8192), ("b", b"z"))
    assert stored == {ID_NAME: ID, "a": "x", "b": "z"}


def test_digests_stand_there_too_and_leave_less_room() -> None:
    digests = (Checksum("sha256", b"\1" * 32), Checksum("sha512", b"\2" * 64))
    longest = LARGEST - len(ID_NAME) - len(ID) - len("key") - 2 * len("fileloft-sha256") - 64 - 128
    for size, names in ((longest, {"key"}), (longest + 1, set())):
        info = replace(info_of(("key", b"v" * size)), digests=digests)
        metadata = attributes_of(info).metadata
        assert metadata["fileloft-sha256"] == "01" * 32
        assert metadata["fileloft-sha512"] == "02" * 64
        assert metadata.keys() - {ID_NAME, "fileloft-sha256", "fileloft-sha512"} == names


def test_the_room_is_used_to_the_last_byte() -> None:
    room = LARGEST - len(ID_NAME) - len(ID) - len("key")
    assert "key" in metadata_of(("key", b"v" * room))
    assert "key" not in metadata_of(("key", b"v" * (room + 1)))
    assert "key" not in metadata_of(("key", b"v" * (room - 1) + b" "))  # three bytes, encoded


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=700)), max_size=12))
def test_whatever_the_client_writes_every_store_takes_it(pairs: list[tuple[str, bytes]]) -> None:
    info = UploadInfo(id=ID, offset=Offset(0), length=10, metadata=Metadata("", tuple(pairs)))
    attributes = attributes_of(info)
    sent = attributes.metadata
    assert sent[ID_NAME] == ID
    assert sum(len(name) + len(value) for name, value in sent.items()) <= LARGEST
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", name) for name in sent)
    assert all(re.fullmatch(r"[!-~]+", value) for value in sent.values())
    told = {unquote_to_bytes(value) for name, value in sent.items() if name != ID_NAME}
    assert told <= {value for _, value in pairs}


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_type_and_disposition_stay_on_their_line(named: bytes, kind: bytes) -> None:
    attributes = attributes_of(info_of(("filename", named), ("filetype", kind)))
    assert re.fullmatch(r"[ -~]+", attributes.content_type)
    assert re.fullmatch(r"[ -~]+", attributes.disposition)
