"""The one table of settings, a row at a time: variable, default, how it is read, what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from fileloft_fast.config.values import parse_flag

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: the variable it is read from, its default as text, and what it means.

    ``also`` is another variable, read where the first is unset. An empty default means none. The
    value of a ``secret`` one is never shown.
    """

    variable: str
    default: str
    parse: Callable[[str], object]
    meaning: str
    also: str = ""
    secret: bool = False


def setting(  # noqa: PLR0913 - a row of the table
    variable: str,
    default: str,
    parse: Callable[[str], T],
    meaning: str,
    *,
    also: str = "",
    secret: bool = False,
) -> T:
    """Return a dataclass field that is a row; the annotation is the field's own type."""
    row = Row(variable, default, parse, meaning, also, secret)
    return field(default=parse(default), metadata={"row": row})


def switch(variable: str, meaning: str) -> bool:
    """Return a field that is off by default."""
    return setting(variable, "0", parse_flag, meaning)
