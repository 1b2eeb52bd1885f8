"""Where objects are found from outside: URLs of objects and tickets, and back to a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from fileloft_fast.errors import InvalidPathError
from fileloft_fast.storages.description import object_url
from fileloft_fast.tus.location import outside

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.storages.named import NamedStorage
    from fileloft_fast.tus.rules import TusRules

TICKET: Final = "ticket"
"""The query parameter that carries a token; no query is ever logged."""


def base_url(head: RequestHead, rules: TusRules) -> str:
    """Return what stands before the path in URLs of this server, without a slash at its end.

    What is configured goes before what a trusted proxy says, and that before ``Host``. "" where
    nobody knows: URLs are paths then.
    """
    if rules.base_url is not None:
        return rules.base_url
    if rules.behind_proxy and head.peer.trusted:
        seen = outside(head)
        return f"{seen.scheme}://{seen.authority}{seen.prefix}" if seen.authority else seen.prefix
    scheme = "https" if head.secure else "http"
    return f"{scheme}://{head.authority}" if head.authority else ""


def public_url(base: str, storage: NamedStorage, path: str) -> str:
    """Return the URL of a public object for everybody."""
    return object_url(storage.settings.public_host or base, storage.name, path)


def token_of(head: RequestHead) -> str:
    """Return the token in the query of *head*, "" where there is none."""
    for key, value in parse_qsl(head.query, keep_blank_values=True):
        if key == TICKET:
            return value
    return ""


def split_path(path: str) -> tuple[str, str]:
    """Return the storage and the path of an object that the path of a URL names.

    Raises InvalidPathError. Percent signs are decoded once: some clients escape more than they
    must, and what is decoded is checked.
    """
    name, _, rest = path.removeprefix("/").partition("/")
    try:
        return name, unquote(rest, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidPathError("a path is ASCII") from error
