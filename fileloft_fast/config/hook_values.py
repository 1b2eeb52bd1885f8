"""Values of the hooks' settings: which events there are, and how those who are told are named."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

_OBJECT: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_PRINTABLE: Final = re.compile(r"[!-~]+")


class HookEvent(StrEnum):
    """What a hook is asked (``pre-``) or told; tusd's names, and two of ours."""

    PRE_ACCESS = "pre-access"
    PRE_CREATE = "pre-create"
    POST_CREATE = "post-create"
    POST_RECEIVE = "post-receive"
    PRE_FINISH = "pre-finish"
    POST_FINISH = "post-finish"
    PRE_TERMINATE = "pre-terminate"
    POST_TERMINATE = "post-terminate"
    STORED = "stored"


def parse_hook_events(text: str) -> tuple[HookEvent, ...]:
    """Parse a comma list of events; their order does not count."""
    named = {name.strip() for name in text.split(",") if name.strip()}
    known = {event.value for event in HookEvent}
    if not named <= known:
        raise ValueError(f"must be a comma list of {', '.join(sorted(known))}")
    return tuple(event for event in HookEvent if event.value in named)


def parse_hook_urls(text: str) -> tuple[str, ...]:
    """Parse a comma list of http or https URLs; a comma within one is written %2C."""
    urls = tuple(part.strip() for part in text.split(",") if part.strip())
    for each in urls:
        if not (_PRINTABLE.fullmatch(each) and _is_url(each)):
            raise ValueError("must be a comma list of http or https URLs")
    return urls


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        has_port = url.port != 0
    except ValueError:  # of a port that is none, or of half an IPv6 address
        return False
    named = bool(url.hostname) and has_port and not url.fragment
    return named and url.scheme in {"http", "https"}


def parse_hook_objects(text: str) -> tuple[str, ...]:
    """Parse a comma list of module:object."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not all(_OBJECT.fullmatch(name) for name in names):
        raise ValueError("must be a comma list of module:object")
    return names
