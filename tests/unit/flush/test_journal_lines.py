"""The lines of a journal: what a crash may tear, and what is told from that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.dataplane import digest_of
from fileloft_fast.errors import StoreError
from fileloft_fast.flush.journal import (
    Begin,
    Completed,
    Completing,
    Entry,
    Frame,
    Hole,
    Part,
    Session,
    Withdrawn,
    parse,
    render,
)
from fileloft_fast.stores.remote.objects import Receipt

counts = st.integers(0, 2**63 - 1)
entries = st.one_of(
    st.builds(Begin, st.text(max_size=40), counts, st.text(max_size=40), counts, st.booleans()),
    st.builds(Session, st.text(max_size=200)),
    st.builds(Part, counts, counts, counts, st.text(max_size=40), st.integers(0, 2**32 - 1)),
    st.builds(Completing, counts, st.integers(0, 2**32 - 1)),
    st.builds(Completed, st.text(max_size=40)),
    st.builds(Hole, counts),
    st.builds(Frame, counts, counts),
    st.just(Withdrawn()),
)


def test_an_entry_is_a_line_of_checksum_and_json() -> None:
    assert render(Completing(80, 7)) == b'3e4123d0 {"type":"completing","size":80,"crc32c":7}\n'


def test_no_entries_are_an_empty_file() -> None:
    assert parse(b"") == ([], 0)


def test_a_part_gives_its_receipt_back() -> None:
    assert Part(3, 32, 16, "tag", 9).receipt == Receipt(3, 16, "tag", 9)


@given(st.lists(entries, max_size=8))
def test_what_is_written_is_read_again(story: list[Entry]) -> None:
    contents = b"".join(map(render, story))
    assert parse(contents) == (story, len(contents))


@given(st.lists(entries, max_size=6), st.data())
def test_a_file_that_is_cut_anywhere_is_a_prefix(story: list[Entry], data: st.DataObject) -> None:
    lines = list(map(render, story))
    contents = b"".join(lines)
    cut = data.draw(st.integers(0, len(contents)))
    found, sound = parse(contents[:cut])
    whole = [line for at, line in ends(lines) if at <= cut]
    assert found == story[: len(whole)]
    assert sound == sum(map(len, whole))


@given(st.lists(entries, min_size=1, max_size=6), st.data())
def test_a_byte_that_was_damaged_is_told_from_a_tear(
    story: list[Entry], data: st.DataObject
) -> None:
    lines = list(map(render, story))
    contents = bytearray(b"".join(lines))
    at = data.draw(st.integers(0, len(contents) - 1))
    before = contents[at]
    contents[at] ^= data.draw(st.integers(1, 255).filter(lambda bits: bits != before))
    with pytest.raises(StoreError, match="damaged in line"):
        parse(bytes(contents))


@given(st.lists(entries, min_size=1, max_size=6), st.data())
def test_zeros_in_the_last_line_are_a_tear_and_damage_in_any_other(
    story: list[Entry], data: st.DataObject
) -> None:
    lines = list(map(render, story))
    at = data.draw(st.integers(0, len(lines) - 1))
    start = data.draw(st.integers(0, len(lines[at]) - 2))
    end = data.draw(st.integers(start + 1, len(lines[at]) - 1))  # the line ends as it should
    torn = lines[at][:start] + bytes(end - start) + lines[at][end:]
    contents = b"".join([*lines[:at], torn, *lines[at + 1 :]])
    if at == len(lines) - 1:
        assert parse(contents) == (story[:at], sum(map(len, lines[:at])))
        return
    with pytest.raises(StoreError, match=f"damaged in line {at + 1}"):
        parse(contents)


@given(st.lists(entries, min_size=2, max_size=6), st.data())
def test_a_line_that_is_missing_its_end_is_damage_where_another_follows(
    story: list[Entry], data: st.DataObject
) -> None:
    lines = list(map(render, story))
    at = data.draw(st.integers(0, len(lines) - 2))
    cut = data.draw(st.integers(1, len(lines[at])))
    with pytest.raises(StoreError, match=f"damaged in line {at + 1}"):
        parse(b"".join([*lines[:at], lines[at][:-cut] or b"\n", *lines[at + 1 :]]))


def ends(lines: list[bytes]) -> list[tuple[int, bytes]]:
    """Return each line with where it ends."""
    return [(sum(map(len, lines[: i + 1])), line) for i, line in enumerate(lines)]


@given(st.binary(max_size=300))
def test_what_is_no_journal_has_no_entries(noise: bytes) -> None:
    try:
        assert parse(noise) == ([], 0)
    except StoreError:
        assert b"\n" in noise


def test_an_entry_of_a_kind_that_is_not_known_is_a_later_versions() -> None:
    known, unknown = render(Frame(4, 2)), b'{"type":"novelty"}'
    line = b"%b %b\n" % (digest_of("crc32c", unknown).hex().encode(), unknown)
    for contents in (line, known + line, known + line + known):
        with pytest.raises(StoreError, match="newer version"):
            parse(contents)
