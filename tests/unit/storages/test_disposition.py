"""The boundary is what Content-Type says, by the grammar of RFC 2046."""

from __future__ import annotations

import time

import pytest

from fileloft_fast.errors import FormError
from fileloft_fast.storages.disposition import is_form, parse_boundary, parse_part


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=x", b"x"),
        ("Multipart/Form-Data;Boundary=x; charset=utf-8", b"x"),
        ('multipart/form-data; charset="utf-8" ; boundary="a b"', b"a b"),
        ("multipart/form-data; boundary=----=_Part_0/1:2?", b"----=_Part_0/1:2?"),
        ("multipart/form-data; boundary=" + "x" * 70, b"x" * 70),
    ],
)
def test_a_boundary_is_read(content_type: str, boundary: bytes) -> None:
    assert is_form(content_type)
    assert parse_boundary(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="x ',
        'multipart/form-data; boundary="x "',
        'multipart/form-data; boundary="x\xe4"',
        'multipart/form-data; boundary="x*y"',
        "multipart/form-data; boundary=x; boundary=y",
        "multipart/form-data; boundary=x y",
        "multipart/form-data; boundary=" + "x" * 71,
        "multipart/mixed; boundary=x",
        "",
    ],
)
def test_a_form_without_a_boundary_of_the_grammar_is_refused(content_type: str) -> None:
    with pytest.raises(FormError):
        parse_boundary(content_type)


@pytest.mark.parametrize(
    "content_type", ["", "multipart/mixed", "text/plain; x=multipart/form-data"]
)
def test_what_is_no_form_is_known(content_type: str) -> None:
    assert not is_form(content_type)


def test_a_line_of_blanks_takes_no_longer_than_its_length() -> None:
    before = time.process_time()
    with pytest.raises(FormError):
        parse_part(b"a:" + b" " * 20_000 + b"\x01")  # half a minute where each way is tried
    assert time.process_time() - before < 2
