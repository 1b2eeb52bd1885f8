"""Adopting as a test wants it: everything, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.stores.fs.adoption import (
    Carrier,
    FileloftDirectory,
    ForeignDirectory,
    Plan,
    TusdDirectory,
    Verdict,
    attempt,
    decide,
)
from tests.adoption.fileloft import tree

if TYPE_CHECKING:
    from pathlib import Path


def adopt(
    kind: type[FileloftDirectory | TusdDirectory], path: Path, into: Path | None = None
) -> dict[str, Plan]:
    """Adopt everything and return what became of it."""
    directory: ForeignDirectory = kind(path, "/files/", in_place=into is None)
    carrier = Carrier(into or path, in_place=into is None, file_mode=0o600)
    plans = [attempt(carrier, decide(carrier, directory, name)) for name in directory.names()]
    return {plan.name: plan for plan in plans}


def assert_left(
    kind: type[FileloftDirectory | TusdDirectory], path: Path, why: str, into: Path | None = None
) -> None:
    """Assert that the one upload is left out because of *why*, and nothing is changed."""
    watched = [path] if into is None else [path, into]
    before = [tree(folder) for folder in watched]
    (plan,) = adopt(kind, path, into).values()
    assert plan.verdict is Verdict.LEFT_OUT
    assert why in plan.why
    assert [tree(folder) for folder in watched] == before
