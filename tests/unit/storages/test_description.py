"""A description is what Serverpod's FileUploader reads, to the letter."""

from __future__ import annotations

import json
from typing import Final

import msgspec
import pytest

from fileloft_fast.storages.description import (
    BinaryUpload,
    MultipartUpload,
    UploadDescription,
    describe_upload,
    object_url,
    parse_description,
)
from fileloft_fast.storages.ticket import Ticket

TICKET: Final = Ticket(
    kind="put", storage="public", path="profile/1/avatar", expires_at=1, content_type="image/png"
)
URL: Final = "https://up.example/public/profile/1/avatar?ticket=token"
BOTH: Final = (
    BinaryUpload(url=URL, method="POST", file_name="a.png", headers={"Content-Type": "image/png"}),
    MultipartUpload(url=URL, field="file", file_name="a.png", request_fields={"key": "value"}),
)


def test_a_binary_description_has_url_method_name_and_headers() -> None:
    made = describe_upload("https://up.example/", TICKET, "token", file_name="avatar.png")
    assert made.to_json() == (
        '{"type":"binary","url":"' + URL + '","method":"PUT","file-name":"avatar.png",'
        '"headers":{"Content-Type":"image/png"}}'
    )


def test_a_binary_description_is_silent_about_what_nobody_said() -> None:
    bare = Ticket(kind="put", storage="public", path="a", expires_at=1)
    made = describe_upload("https://up.example", bare, "token", method="POST")
    assert json.loads(made.to_json()) == {
        "type": "binary", "url": "https://up.example/public/a?ticket=token", "method": "POST"
    }  # fmt: skip


def test_a_multipart_description_has_all_that_a_form_needs() -> None:
    # FileUploader casts request-fields to a map: it must be there when it is empty, too
    made = describe_upload("https://up.example", TICKET, "token", kind="multipart")
    assert made.to_json() == (
        '{"type":"multipart","url":"' + URL + '","field":"file","file-name":"avatar",'
        '"request-fields":{}}'
    )


@pytest.mark.parametrize("description", BOTH)
def test_a_description_is_read_as_it_was_written(description: UploadDescription) -> None:
    assert parse_description(description.to_json()) == description


@pytest.mark.parametrize("raw", ["", "[]", "{}", '{"type":"other","url":"x"}', '{"type":"binary"}'])
def test_what_is_no_description_is_refused(raw: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        parse_description(raw)


def test_an_address_may_have_a_path_before_the_storages() -> None:
    assert object_url("https://up.example/files/", "public", "a/b") == (
        "https://up.example/files/public/a/b"
    )
