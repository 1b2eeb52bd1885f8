"""What can be stored, how long it is, and whether it can be sent once more."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from fileloft_fast.storage.bodies import FileBody, Pieces, body_of, length_of, resendable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_bytes_are_bytes_in_any_form(data: bytes) -> None:
    body = body_of(data)
    assert body == b"bytes"
    assert (length_of(body), resendable(body)) == (5, True)


def test_a_file_is_sent_from_where_it_stands_and_once_more_from_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        body = body_of(file)
        assert isinstance(body, FileBody)
        assert (length_of(body), resendable(body)) == (6, True)
        for _ in range(2):
            body.rewind()
            assert body.read_piece() + body.read_piece() == b"456789"


def test_a_file_past_its_end_is_empty() -> None:
    file = io.BytesIO(b"01")
    file.seek(5)
    assert length_of(body_of(file)) == 0


def test_what_cannot_be_sought_comes_once() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor has no path
        body = body_of(pipe)
        assert (length_of(body), resendable(body)) == (None, False)


def test_pieces_come_once() -> None:
    body = body_of(iter([b"a", b"b"]))
    assert isinstance(body, Pieces)
    assert (length_of(body), resendable(body)) == (None, False)


def test_a_text_is_no_object() -> None:
    with pytest.raises(TypeError, match="encode"):
        body_of("text")  # type: ignore[arg-type]
