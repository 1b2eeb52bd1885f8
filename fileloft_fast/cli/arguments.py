"""Types of arguments that several commands take."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_UNIT_S: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return *parse* with its ValueError as argparse shows it."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as wrong:
            raise ArgumentTypeError(f"{wrong}: {text!r}") from None

    return parsed


def parse_duration(text: str) -> float:
    """Parse a time with its unit: 90s, 15m, 1h, 7d; a plain number is seconds."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if match is None or int(match[1]) == 0:
        raise ValueError("must be a time such as 90s, 15m, 1h or 7d")
    return float(int(match[1]) * _UNIT_S[match[2]])
