"""What a client says of its object is never more than a field's value."""

from __future__ import annotations

import pytest

from fileloft_fast.model import UploadId
from fileloft_fast.storages.entry import UNKNOWN_TYPE, Wish

BLOB = UploadId("0" * 32)


@pytest.mark.parametrize("said", ["", "text/html\r\nSet-Cookie: a=b", "a\0b", "tëxt", "x" * 256])
def test_a_type_that_no_field_can_have_is_not_shown(said: str) -> None:
    assert Wish(path="a", content_type=said).entry(BLOB, 1).content_type == UNKNOWN_TYPE


@pytest.mark.parametrize("said", ["image/png", 'text/plain; charset="utf-8"', "x" * 255])
def test_a_type_is_shown_as_it_was_said(said: str) -> None:
    assert Wish(path="a", content_type=said).entry(BLOB, 1).content_type == said
