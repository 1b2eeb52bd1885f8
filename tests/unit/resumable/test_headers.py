"""The grammar of the fields: what is a value, what is passed over, what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import InvalidHeaderError
from fileloft_fast.model import Checksum
from fileloft_fast.resumable.digests import (
    ALGORITHMS,
    SIZES,
    parse_digests,
    parse_wish,
)
from fileloft_fast.resumable.headers import (
    LARGEST,
    is_partial_type,
    maybe_count,
    maybe_dictionary,
    maybe_ends,
    maybe_flag,
    maybe_item,
    maybe_version,
    render_ends,
)
from fileloft_fast.resumable.metadata import maybe_filename, representation_metadata
from fileloft_fast.resumable.rules import ResumableRules
from fileloft_fast.resumable.versions import VERSIONS, version_table
from fileloft_fast.tus.digests import render_digests
from fileloft_fast.tus.headers import parse_metadata
from fileloft_fast.tus.rules import TusRules
from tests.unit.resumable.heads import EVERY

if TYPE_CHECKING:
    from fileloft_fast.resumable.versions import Version

ABC = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
FIELD_VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)


@pytest.mark.parametrize(
    ("value", "flag"),
    [("?0", False), ("?1", True), ("?1;a", True), (" ?0 ", False), ("?1;a=?0", True)],
)
def test_booleans(value: str, flag: bool) -> None:  # noqa: FBT001 - what is expected
    assert maybe_flag(value) is flag


@pytest.mark.parametrize("value", [None, "", "1", "0", "true", "?2", "?", "?1,?1", "?10", "\xff"])
def test_what_is_no_boolean_is_as_if_it_were_not_there(value: str | None) -> None:
    assert maybe_flag(value) is None


@pytest.mark.parametrize(
    ("value", "count"),
    [("0", 0), ("7", 7), ("007", 7), ("7;a=1", 7), ("-0", 0), (str(LARGEST), LARGEST)],
)
def test_counts(value: str, count: int) -> None:
    assert maybe_count(value) == count


@pytest.mark.parametrize(
    "value",
    [None, "", "-1", "+1", "1.0", "1e3", "0x1", "?1", '"1"', "1,1", "1 1", "\u0663", "\xb2",
     str(LARGEST + 1), "9" * 5000],
)  # fmt: skip
def test_what_is_no_count_is_as_if_it_were_not_there(value: str | None) -> None:
    assert maybe_count(value) is None


@given(FIELD_VALUES)
def test_any_value_is_read_as_the_library_reads_it_or_passed_over(value: str) -> None:
    item, flag, count = maybe_item(value), maybe_flag(value), maybe_count(value)
    assert flag is (item if isinstance(item, bool) else None)
    assert count == (item if type(item) is int and item >= 0 else None)
    maybe_dictionary(value)
    maybe_version(value)
    assert maybe_version(value) in {None, *VERSIONS.values()}


@pytest.mark.parametrize(("value", "again"), [("a=1", ", b"), ("a", ";b=1"), ("a=(1", " 1")])
def test_a_field_that_is_longer_than_any_can_be_is_not_parsed(value: str, again: str) -> None:
    """While it is, nobody else is served."""
    long = value + again * (2048 // len(again)) + ")" * ("(" in value)
    assert http_sf.parse(long.encode(), tltype="dictionary")
    assert maybe_dictionary(long) is None
    assert maybe_item("1;" + long) is None
    assert maybe_version("8;" + long) is None
    with pytest.raises(InvalidHeaderError):
        parse_digests("Repr-Digest", long)


@pytest.mark.parametrize("version", EVERY)
@pytest.mark.parametrize("complete", [False, True])
def test_the_end_field_is_read_as_it_was_written(version: Version, *, complete: bool) -> None:
    name, value = render_ends(version, complete=complete)
    assert maybe_ends({name.lower(): value}, version) is complete


@given(st.integers(0, LARGEST))
def test_counts_are_read_as_the_library_writes_them(count: int) -> None:
    assert maybe_count(http_sf.ser(count)) == count


def test_every_version_from_3_to_10_is_spoken() -> None:
    assert sorted(VERSIONS) == [3, 4, 5, 6, 7, 8, 9, 10]
    assert all(number == version.number for number, version in VERSIONS.items())


def test_the_table_for_people_has_a_row_for_every_version() -> None:
    rows = version_table()
    assert len(rows) == len(EVERY)
    assert rows[0][:3] == ("3", "Upload-Incomplete", "any")
    assert rows[-1][0] == "none (final)"


@pytest.mark.parametrize("sizes", [(5, 4, 0, 0), (0, 0, 5, 4)])
def test_limits_that_leave_nothing_are_refused(sizes: tuple[int, int, int, int]) -> None:
    smallest, largest, smallest_append, largest_append = sizes
    with pytest.raises(ValueError, match="smallest"):
        ResumableRules(
            tus=TusRules(max_size=largest),
            min_size=smallest,
            min_append_size=smallest_append,
            max_append_size=largest_append,
        )


@pytest.mark.parametrize(
    ("value", "is_partial"),
    [("application/partial-upload", True), ("APPLICATION/Partial-Upload ; q=1", True),
     (None, False),
     ("application/partial-uploads", False), ("", False)],
)  # fmt: skip
def test_the_media_type(value: str | None, is_partial: bool) -> None:  # noqa: FBT001
    assert is_partial_type(value) is is_partial


# -- digests --------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["", "md5=:AAAA:", "unixsum=30637", "sha=:AAAA:;x=1"])
def test_algorithms_that_are_not_known_are_passed_over(value: str) -> None:
    assert parse_digests("Repr-Digest", value) == ()


@pytest.mark.parametrize(
    "value",
    ["sha-256", "sha-256=1", "sha-256=:AAAA:", f'sha-256="{ABC}"', "sha-256=(:AAAA:)", "=", "a b",
     f"sha-256=:{ABC}", f"sha-512=:{ABC}:", f"sha-256=:{ABC}:,", "SHA-256=:AAAA:"],
)  # fmt: skip
def test_a_digest_that_cannot_be_one_is_an_error(value: str) -> None:
    with pytest.raises(InvalidHeaderError):
        parse_digests("Content-Digest", value)


def test_of_the_same_algorithm_the_last_digest_counts() -> None:
    value = f"sha-256=:AAAA:, sha-256=:{ABC}:"
    ((digest),) = parse_digests("Content-Digest", value)
    assert digest.algorithm == "sha256"


@pytest.mark.parametrize(
    ("value", "wishes"),
    [
        ("sha-256=1", ("sha256",)),
        ("sha-256=3, sha-512=10", ("sha512", "sha256")),
        ("sha-512=5, sha-256=5", ("sha256", "sha512")),
        ("sha-256=0, sha-512=1", ("sha512",)),
        ("sha-256=11, sha-512=-1", ()),
        ("sha-256, sha-512=?1", ()),
        ("sha-256=1.0", ()),
        ("md5=10, sha-512=1", ("sha512",)),
        ("not a dictionary!", ()),
    ],
)
def test_wishes(value: str, wishes: tuple[str, ...]) -> None:
    assert parse_wish(value) == wishes


@st.composite
def _digests(draw: st.DrawFn) -> tuple[Checksum, ...]:
    names = draw(st.lists(st.sampled_from(tuple(ALGORITHMS.values())), min_size=1, unique=True))
    ordered = [ours for ours in ALGORITHMS.values() if ours in names]
    return tuple(
        Checksum(name, draw(st.binary(min_size=SIZES[name], max_size=SIZES[name])))
        for name in ordered
    )


@given(_digests())
def test_digests_are_read_as_they_were_written(digests: tuple[Checksum, ...]) -> None:
    assert parse_digests("Repr-Digest", render_digests(digests)) == digests


@given(FIELD_VALUES)
def test_any_digest_field_is_read_or_refused(value: str) -> None:
    try:
        digests = parse_digests("Repr-Digest", value)
    except InvalidHeaderError:
        return
    assert all(len(each.digest) == SIZES[each.algorithm] for each in digests)
    assert set(parse_wish(value)) <= set(SIZES)


# -- metadata -------------------------------------------------------------------------------------


@given(FIELD_VALUES, FIELD_VALUES, FIELD_VALUES)
def test_whatever_the_head_says_is_metadata_that_tus_can_tell(
    disposition: str, kind: str, coding: str
) -> None:
    fields = {
        "content-disposition": disposition,
        "content-type": kind,
        "content-encoding": coding,
    }
    metadata = representation_metadata(fields)
    assert parse_metadata(metadata.raw) == metadata


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), min_size=1, max_size=40))
def test_a_quoted_name_comes_back_as_it_was(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert maybe_filename(f'inline; filename="{quoted}"') == name.encode()
