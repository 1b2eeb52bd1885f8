"""Where objects may be, and that made paths are taken by the storage that they are made for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fileloft_fast.errors import InvalidPathError
from fileloft_fast.storages.paths import check_path, make_path

STRICT = ["a", "0", "profile/1/avatar", "A/b/C/9", "x" * 1024, "a/" * 511 + "bc"]
RELAXED = ["a.png", "a-b_c/d.tar.gz", "...", ".hidden", "a/..b/c", "-", "a" * 1020 + ".png"]
NEVER = [
    *("", "/", "/a", "a/", "a//b", "a b", "a\n", "\na", "a\0b", "ä", "a\\b", "a%2fb", "a?b", "a#b"),
    *("a:b", "a*", "\u0661", "a/\u200b", "x" * 1025, "\ud800"),
]
CLIMBING = [".", "..", "../a", "a/..", "a/../b", "a/./b", "./a"]


@pytest.mark.parametrize("path", STRICT)
def test_letters_and_digits_between_slashes_are_a_path_everywhere(path: str) -> None:
    assert check_path(path) == path
    assert check_path(path, relaxed=True) == path


@pytest.mark.parametrize("path", RELAXED)
def test_only_a_relaxed_storage_takes_full_stops_hyphens_and_underscores(path: str) -> None:
    assert check_path(path, relaxed=True) == path
    with pytest.raises(InvalidPathError):
        check_path(path)


@pytest.mark.parametrize("path", NEVER + CLIMBING)
@pytest.mark.parametrize("relaxed", [False, True])
def test_no_storage_takes_other_paths(path: str, *, relaxed: bool) -> None:
    with pytest.raises(InvalidPathError):
        check_path(path, relaxed=relaxed)


@given(st.text())
def test_what_is_taken_cannot_leave_a_folder(path: str) -> None:
    try:
        check_path(path, relaxed=True)
    except InvalidPathError:
        return
    assert {"", ".", ".."}.isdisjoint(path.split("/"))
    assert path.isascii()
    assert path.isprintable()


def test_a_made_path_lies_in_its_folder_and_is_no_other_one() -> None:
    made = {make_path("profile/1") for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"profile/1/[0-9a-f]{32}", path) for path in made)
    assert re.fullmatch(r"[0-9a-f]{32}", make_path(""))


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("Avatar.PNG", ".png"),
        ("archive.tar.gz", ".gz"),
        ("../../etc/passwd", ""),
        ("no extension", ""),
        ("ends.", ""),
        ("a.b/c", ""),
        ("a.png\n", ""),
        ("long." + "x" * 17, ""),
        ("", ""),
    ],
)
def test_of_a_name_only_the_extension_is_kept_where_a_path_may_have_one(
    name: str, extension: str
) -> None:
    assert re.fullmatch(
        r"f/[0-9a-f]{32}" + re.escape(extension), make_path("f", name, relaxed=True)
    )
    assert re.fullmatch(r"f/[0-9a-f]{32}", make_path("f", name))


@given(st.text(), st.text(), st.booleans())
def test_a_path_is_made_by_the_rules_or_not_at_all(folder: str, name: str, relaxed: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
    try:
        path = make_path(folder, name, relaxed=relaxed)
    except InvalidPathError:
        return
    assert check_path(path, relaxed=relaxed) == path
