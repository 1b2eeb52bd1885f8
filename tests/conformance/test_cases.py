"""Guard: every numbered case of the protocol has a test that names it.

The numbers are those of the project's protocol notes: T for a clause of tus 1.0, H for hostile
HTTP/1.1. A test names its cases in its docstring; a table of attacks names them in its rows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TUS_RANGES: Final = (
    (1, 10), (20, 29), (40, 45), (50, 58), (60, 79), (90, 105), (110, 118), (120, 128),
    (130, 135), (140, 150), (160, 166), (170, 189),
)  # fmt: skip
CASES: Final = frozenset(
    {f"T{number:03}" for first, last in TUS_RANGES for number in range(first, last + 1)}
    | {f"H{number:02}" for number in range(1, 63)}
)
NOT_TESTED: Final[dict[str, str]] = {}
"""Deliberate exceptions: the case, and the reason."""

_NUMBER: Final = re.compile(r"\b(?:T\d{3}|H\d{2})\b")


def named_in(source: Path) -> Iterator[str]:
    """Yield the case numbers that the tests of *source* name."""
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield from _NUMBER.findall(ast.get_docstring(node) or "")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "Attack" and isinstance(node.args[0], ast.Constant):
                yield from _NUMBER.findall(str(node.args[0].value))
        elif isinstance(node, ast.keyword) and node.arg == "ids":
            for item in ast.walk(node.value):
                if isinstance(item, ast.Constant):
                    yield from _NUMBER.findall(str(item.value))


@pytest.fixture(scope="module")
def named() -> set[str]:
    """Return every case number that a test of this folder names."""
    files = Path(__file__).parent.glob("test_*.py")
    return {number for file in files for number in named_in(file)}


def test_every_case_has_a_test(named: set[str]) -> None:
    assert sorted(CASES - named - set(NOT_TESTED)) == []


def test_no_test_names_a_case_that_does_not_exist(named: set[str]) -> None:
    assert sorted(named - CASES) == []


def test_an_exception_is_given_up_once_its_case_has_a_test(named: set[str]) -> None:
    assert sorted(named & set(NOT_TESTED)) == []
