"""A command line without what is secret in it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN: Final = "***"
_QUERY: Final = re.compile(r"(?<=://)([^?\s]*[?])\S+")
_USER: Final = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SECRET: Final = re.compile(
    r"([A-Z0-9_.-]*(?:SECRET|TOKEN|KEY|PASS|CREDENTIAL|AUTH)[A-Z0-9_.-]*[= ])(\S+)", re.IGNORECASE
)


def redact(
    words: Sequence[str], *, token: str = "", fields: Sequence[str] = (), command: str = ""
) -> tuple[str, ...]:
    """Return *words* without the values of what was given as *token* and *fields*.

    Also without passwords and queries of URLs, and what a *command* has after a name that sounds
    like a secret's. An option's value is a word of its own or stands after ``=``.
    """
    shown = {field: f"{field.partition(':')[0]}: {HIDDEN}" for field in fields}
    if token:
        shown[token] = HIDDEN
    if command:
        shown[command] = _SECRET.sub(rf"\1{HIDDEN}", command)
    return tuple(_redacted(word, shown) for word in words)


def _redacted(word: str, shown: dict[str, str]) -> str:
    for given, instead in shown.items():
        if word == given or (word.startswith("--") and word.endswith(f"={given}")):
            word = f"{word[: len(word) - len(given)]}{instead}"
            break
    return _USER.sub(HIDDEN, _QUERY.sub(rf"\1{HIDDEN}", word))
