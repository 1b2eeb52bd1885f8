"""Sizes, names, the public API, error codes and the pages that are printed from tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import tables
from fileloft_fast.config import ROWS
from fileloft_fast.errors import WireError
from fileloft_fast.tus.responses import error_table
from tests.unit.guards.house import (
    LARGEST_FILE,
    ROOT,
    empty_names,
    oversized_files,
    public_names,
    repeated_codes,
    unknown_settings,
)

SNAPSHOT = Path(__file__).with_name("public_api.txt")


def test_no_file_is_too_long() -> None:
    assert oversized_files(ROOT) == []


def test_a_file_that_is_too_long_is_seen(tmp_path: Path) -> None:
    (tmp_path / "ext").mkdir()
    (tmp_path / "ext" / "short.pyx").write_text("x\n" * LARGEST_FILE)
    (tmp_path / "ext" / "long.pyx").write_text("x\n" * (LARGEST_FILE + 1))
    (tmp_path / "setup.py").write_text("x\n" * 1000)
    scripts = tmp_path / "tests" / "js"
    (scripts / "node_modules").mkdir(parents=True)
    (scripts / "long.js").write_text("x\n" * 1000)
    (scripts / "node_modules" / "of_others.js").write_text("x\n" * 1000)
    assert oversized_files(tmp_path) == [
        f"ext/long.pyx: {LARGEST_FILE + 1}",
        "setup.py: 1000",
        "tests/js/long.js: 1000",
    ]


def test_every_name_says_something() -> None:
    assert empty_names(ROOT) == []


def test_a_name_that_says_nothing_is_seen(tmp_path: Path) -> None:
    for name in ("fileloft_fast/utils.py", "tests/common/test_x.py", "ext/engine.pyx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert empty_names(tmp_path) == ["fileloft_fast/utils.py", "tests/common"]


def test_the_public_api_is_what_was_agreed() -> None:
    # a change here is a change for others: put it into public_api.txt and into CHANGELOG.md
    assert public_names(ROOT) == SNAPSHOT.read_text().splitlines()


def test_a_change_of_the_public_api_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "fileloft_fast" / "room"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('__all__ = ["b", "a"]\n')
    assert public_names(tmp_path) == ["fileloft_fast.room: a", "fileloft_fast.room: b"]


def test_no_two_errors_share_a_code() -> None:
    codes = [(name, code) for _, code, name, _, _ in error_table() if name != WireError.__name__]
    assert repeated_codes(codes) == []


def test_a_shared_code_is_seen() -> None:
    assert repeated_codes([("One", "x"), ("Two", "y"), ("Three", "x")]) == ["x: One, Three"]


def test_every_error_says_what_it_means() -> None:
    assert [name for _, _, name, _, meaning in error_table() if not meaning] == []


@pytest.mark.parametrize("name", sorted(tables.PAGES))
def test_a_page_says_what_its_table_says(name: str) -> None:
    page = (tables.DOCS / name).read_text()
    assert page == tables.render_page(page, tables.PAGES[name]()), "run python -m docs.tables"


def test_a_page_that_is_behind_its_table_is_seen() -> None:
    page = f"# Page\n{tables.BEGIN}old\n{tables.END}end\n"
    assert tables.render_page(page, "new") == f"# Page\n{tables.BEGIN}\nnew\n{tables.END}end\n"
    with pytest.raises(ValueError, match="marks"):
        tables.render_page("# Page without marks\n", "new")


def test_every_setting_stands_on_its_page_once() -> None:
    page = tables.render_settings()
    for row in ROWS.values():
        assert page.count(f"\n| `{row.variable}`") == 1


def test_every_setting_that_pages_and_examples_name_is_one() -> None:
    assert unknown_settings(ROOT, (row.variable for row in ROWS.values())) == []


def test_a_setting_that_is_none_is_seen(tmp_path: Path) -> None:
    (tmp_path / "docs" / "guide").mkdir(parents=True)
    (tmp_path / "docs" / "guide" / "a.md").write_text(
        "`FILELOFT_BIND=x`, FILELOFT_S3_…, FILELOFT_BINDS, FILELOFT_XX_*, FILELOFT_ENABLE_H2C"
    )
    (tmp_path / "README.md").write_text("`FILELOFT_S3`")
    assert unknown_settings(tmp_path, ["FILELOFT_BIND", "FILELOFT_S3_BUCKET"]) == [
        "docs/guide/a.md: FILELOFT_BINDS",
        "docs/guide/a.md: FILELOFT_XX_",
        "README.md: FILELOFT_S3",
    ]
