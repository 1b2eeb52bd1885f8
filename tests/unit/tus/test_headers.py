"""The grammar of the fields: what is taken, and that all else is a WireError and nothing worse."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import (
    ContentTypeError,
    InvalidHeaderError,
    InvalidMetadataError,
    UnsupportedCodingError,
    WireError,
)
from fileloft_fast.model import NO_METADATA, Checksum
from fileloft_fast.tus.effects import Coding
from fileloft_fast.tus.headers import (
    maybe_date,
    parse_body_type,
    parse_checksum,
    parse_coding,
    parse_concat_urls,
    parse_count,
    parse_length,
    parse_metadata,
    parse_trailer,
    render_checksum,
    render_date,
    render_metadata,
)
from fileloft_fast.tus.rules import DIGEST_SIZES, LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable

FIELD_VALUES = st.text(st.characters(max_codepoint=255), max_size=60) | st.text(
    "a, =;/Zg+1-", max_size=20
)
KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1
)

# -- Upload-Offset, Upload-Length (T064, T094, T111) ----------------------------------------------

NO_COUNTS = [
    "", "-1", "abc", "1.5", "0x10", "+5", " 5", "5 ", "1_0", "5, 5", "5, 7", "\u0661", "²",
    "99999999999999999999", "9223372036854775808", "18446744073709551616", "1" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("value", NO_COUNTS)
def test_t064_t094_a_count_is_digits_up_to_2_63(value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        parse_count("Upload-Offset", value)


@pytest.mark.parametrize(
    ("value", "count"), [("0", 0), ("5", 5), ("0005", 5), (str(LARGEST), LARGEST)]
)
def test_a_count_is_taken(value: str, count: int) -> None:
    assert parse_count("Upload-Length", value) == count


@pytest.mark.parametrize(
    ("length", "deferral"),
    [
        pytest.param(None, None, id="T093 neither"),
        pytest.param("5", "1", id="T097 both"),
        *(pytest.param(None, value, id=f"T111 {value!r}") for value in ("0", "2", "true", "")),
    ],
)
def test_a_length_is_known_or_deferred_and_not_both(
    length: str | None, deferral: str | None
) -> None:
    with pytest.raises(InvalidHeaderError):
        parse_length(length, deferral)


def test_t110_a_deferred_length_is_none() -> None:
    assert parse_length(None, "1") is None
    assert parse_length("0", None) == 0


# -- Upload-Metadata ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        pytest.param(
            "filename d29ybGQ=,is_confidential",
            (("filename", b"world"), ("is_confidential", b"")),
            id="T100",
        ),
        pytest.param("key ", (("key", b""),), id="T101 with space"),
        pytest.param("key", (("key", b""),), id="T101 without space"),
        pytest.param("a ,b", (("a", b""), ("b", b"")), id="T101 in the middle"),
        pytest.param("x DQo=", (("x", b"\r\n"),), id="T103 a value may hold anything"),
        pytest.param("a YQ==,A YQ==", (("a", b"a"), ("A", b"a")), id="keys differ by case"),
    ],
)
def test_metadata_is_taken_and_kept_as_received(raw: str, pairs: object) -> None:
    metadata = parse_metadata(raw)
    assert metadata.pairs == pairs
    assert metadata.raw == raw


def test_t104_empty_metadata_is_none() -> None:
    assert parse_metadata("") is NO_METADATA


@pytest.mark.parametrize(
    "raw",
    [
        "a YQ==,a Yg==",  # a key twice
        ",", " dmFs", "a YQ==,", ",a YQ==", "a YQ==, b YQ==",  # an empty key
        "a  YQ==", "a YQ== ", "a YQ== YQ==",  # two spaces
        "a !!!", "a YQ", "a YQ=", "a YQ===", "a _-8=", "a =", "a YQ==YQ==",  # no base64
        "ä YQ==", "a\tYQ==", "a \x01", "a YQ==\x7f", "é",  # no printable ASCII
    ],
)  # fmt: skip
def test_t102_metadata_that_breaks_the_grammar_is_refused(raw: str) -> None:
    with pytest.raises(InvalidMetadataError):
        parse_metadata(raw)


@given(st.dictionaries(KEYS, st.binary(max_size=50), max_size=6))
def test_metadata_parse_is_the_inverse_of_render(pairs: dict[str, bytes]) -> None:
    assert dict(parse_metadata(render_metadata(pairs.items())).pairs) == pairs


# -- Upload-Checksum ------------------------------------------------------------------------------

SHA1 = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="


def test_t140_a_checksum_is_name_and_digest() -> None:
    expected = Checksum("sha1", hashlib.sha1(b"hello world").digest())
    assert parse_checksum(SHA1, DIGEST_SIZES) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("foo AAAA", id="T142 unknown algorithm"),
        pytest.param("sha1 !!!!", id="T143 bad base64"),
        pytest.param("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0", id="T143 no padding"),
        pytest.param("sha1 Kq5sNclPz7QV2-lfQIuc6R7oRu0=", id="T143 url-safe alphabet"),
        pytest.param("sha1 AAAA", id="T143 too short"),
        pytest.param(f"sha1 {base64.b64encode(bytes(21)).decode()}", id="T143 too long"),
        pytest.param("sha1", id="T143 no value"),
        pytest.param("sha1 ", id="T143 empty value"),
        pytest.param("", id="T143 empty"),
        pytest.param("sha1  Kq5sNclPz7QV2+lfQIuc6R7oRu0=", id="T143 two spaces"),
        pytest.param(f"{SHA1}, {SHA1}", id="twice"),
        pytest.param("SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", id="T145 upper case"),
        pytest.param("sha1 é", id="not ASCII"),
    ],
)
def test_a_checksum_that_breaks_the_grammar_is_refused(value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        parse_checksum(value, DIGEST_SIZES)


@given(st.sampled_from(sorted(DIGEST_SIZES)), st.data())
def test_t144_every_algorithm_is_read_back(algorithm: str, data: st.DataObject) -> None:
    size = DIGEST_SIZES[algorithm]
    checksum = Checksum(algorithm, data.draw(st.binary(min_size=size, max_size=size)))
    assert parse_checksum(render_checksum(checksum), DIGEST_SIZES) == checksum


def test_an_algorithm_that_is_not_offered_is_unknown() -> None:
    with pytest.raises(InvalidHeaderError):
        parse_checksum(SHA1, {"md5": 16})


@pytest.mark.parametrize(
    ("value", "announced"),
    [
        (None, False),
        ("", False),
        ("Expires", False),
        ("Upload-Checksum", True),
        ("upload-checksum", True),
        ("Expires, UPLOAD-CHECKSUM ,X", True),
        ("X-Upload-Checksum", False),
    ],
)
def test_t147_trailer_is_a_list_without_case(value: str | None, announced: object) -> None:
    assert parse_trailer(value) is announced


# -- Upload-Concat --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        pytest.param("partial", None, id="T170"),
        pytest.param("final;/files/a /files/b", ("/files/a", "/files/b"), id="T171"),
        pytest.param("final; /files/a  /files/b ", ("/files/a", "/files/b"), id="T173"),
        pytest.param("final;/files/a /files/a", ("/files/a", "/files/a"), id="T176 twice"),
    ],
)
def test_concat_is_partial_or_a_list(value: str, urls: object) -> None:
    assert parse_concat_urls(value) == urls


@pytest.mark.parametrize(
    "value",
    ["final;", "final; ", "final", "Final;/files/a", "partial;x", "PARTIAL", "foo", "",
     "final /files/a", "partial, partial", "final;/files/ä", "final;/files/a\t/files/b"],
)  # fmt: skip
def test_t175_concat_that_breaks_the_grammar_is_refused(value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        parse_concat_urls(value)


# -- Content-Type, Content-Encoding ---------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "application/offset+octet-stream",
        "application/offset+octet-stream; charset=utf-8",
        "Application/Offset+Octet-Stream ;x",
    ],
)
def test_t062_the_media_type_has_no_case_and_its_parameters_do_not_count(value: str) -> None:
    parse_body_type(value)


@pytest.mark.parametrize(
    "value",
    [None, "", "application/octet-stream", "application/json", "application/offset+octet-streams",
     "application/offset+octet-stream, application/offset+octet-stream"],
)  # fmt: skip
def test_t061_another_media_type_is_415(value: str | None) -> None:
    with pytest.raises(ContentTypeError):
        parse_body_type(value)


@pytest.mark.parametrize(
    ("value", "coding"),
    [
        (None, Coding.IDENTITY),
        ("", Coding.IDENTITY),
        ("identity", Coding.IDENTITY),
        ("zstd", Coding.ZSTD),
        ("ZSTD", Coding.ZSTD),
    ],
)
def test_a_coding_is_taken(value: str | None, coding: Coding) -> None:
    assert parse_coding(value) is coding


@pytest.mark.parametrize("value", ["gzip", "br", "zstd, zstd", "identity, zstd", "x"])
def test_another_coding_is_415(value: str) -> None:
    with pytest.raises(UnsupportedCodingError):
        parse_coding(value)


# -- dates ----------------------------------------------------------------------------------------


def test_t132_a_date_is_imf_fixdate() -> None:
    assert render_date(1403712000) == "Wed, 25 Jun 2014 16:00:00 GMT"


@given(st.integers(0, 253402300799))
def test_dates_are_those_of_the_library_and_read_back(seconds: int) -> None:
    text = render_date(seconds)
    assert text == format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)
    assert maybe_date(text) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "0", "Wed, 25 Jun 2014 16:00:00", "Wed, 99 Jun 2014 16:00:00 GMT",
     "Wed, 25 Juno 2014 16:00:00 GMT", "Wed, 25 Xxx 2014 16:00:00 GMT",
     "Wed, 25 Jun 2014 25:00:00 GMT", "Wednesday, 25-Jun-14 16:00:00 GMT"],
)  # fmt: skip
def test_what_is_no_date_is_none(value: str) -> None:
    assert maybe_date(value) is None


# -- whatever comes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parse",
    [
        lambda value: parse_count("Upload-Offset", value),
        lambda value: parse_length(value, None),
        lambda value: parse_length(None, value),
        parse_metadata,
        lambda value: parse_checksum(value, DIGEST_SIZES),
        lambda value: parse_checksum(f"sha1 {value}", DIGEST_SIZES),
        parse_concat_urls,
        lambda value: parse_concat_urls(f"final;{value}"),
        parse_body_type,
        parse_coding,
        parse_trailer,
        maybe_date,
    ],
)
def test_a_parser_returns_or_raises_a_wire_error(parse: Callable[[str], object]) -> None:
    @given(FIELD_VALUES)
    def check(value: str) -> None:
        with suppress(WireError):
            parse(value)

    check()
