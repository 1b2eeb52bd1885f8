"""Where a request carries its token, and how to be rid of it before anybody else sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import UnauthorizedError

if TYPE_CHECKING:
    from fileloft_fast.model import Permit, RequestHead, Response

MAX_TOKEN_BYTES: Final = 8 * 1024
UNAUTHORIZED: Final = "a valid token is needed"
"""All that is said: which of signature, time and audience was wrong helps only who guesses."""

_PARAMETER: Final = "token="
_NAMING: Final = frozenset({104, 201})
"""Answers whose Location is an upload of ours."""
# RFC 6750 section 2.1, whose token is a JWT here (RFC 7519): three parts of base64url.
_PATTERN: Final = r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
_NO_REFERRER: Final = ("Referrer-Policy", "no-referrer")
_match_token: Final = re.compile(_PATTERN).fullmatch
_match_bearer: Final = re.compile(rf"(?i:bearer) +({_PATTERN})").fullmatch
_find_queries: Final = re.compile(r"\?[^ ]*")


def has_token(head: RequestHead) -> bool:
    """Return whether *head* carries anything in a token's place, right or not."""
    return "authorization" in head.headers or _PARAMETER in head.query


def token_of(head: RequestHead) -> tuple[str, bool]:
    """Return the one token of *head*, and whether it came in the query.

    Raises UnauthorizedError for none, for two (RFC 6750 section 2), and for what is none.
    """
    field = head.headers.get("authorization")
    values = _in_query(head)
    if field is not None and not values:
        match = _match_bearer(field)
        token = match[1] if match else ""
    elif field is None and len(values) == 1 and _match_token(values[0]):
        token = values[0]
    else:
        token = ""
    if not token or len(token) > MAX_TOKEN_BYTES:
        raise UnauthorizedError(UNAUTHORIZED)
    return token, bool(values)


def admitted(head: RequestHead, permit: Permit | None) -> RequestHead:
    """Return *head* with its permit and without a token in a URL, for whoever sees it from now on.

    A client that was given URLs with its token names partial uploads by them.
    """
    headers = head.headers
    named = headers.get("upload-concat", "")
    if _PARAMETER in named:
        headers = {**headers, "upload-concat": _find_queries.sub("", named)}
    return replace(head, permit=permit, query=_without_token(head.query), headers=headers)


def addressed(head: RequestHead, response: Response) -> Response:
    """Return the answer to *head* with the token of its URL, if any, in the URL of a new upload.

    Who could not set a header when the upload was made cannot set one for its bytes either. A
    redirect leads to another server: it gets no token of ours, nor does any link in what is shown.
    An interim answer names the upload as the final one does.
    """
    tokens = _in_query(head)
    if not tokens:
        return response
    own = response.own
    if response.status in _NAMING:
        own = tuple(
            (name, f"{value}?{_PARAMETER}{tokens[0]}" if name == "Location" else value)
            for name, value in own
        )
    return replace(response, own=(*own, _NO_REFERRER))


def _in_query(head: RequestHead) -> list[str]:
    return [
        part[len(_PARAMETER) :] for part in head.query.split("&") if part.startswith(_PARAMETER)
    ]


def _without_token(query: str) -> str:
    if not query:
        return ""
    return "&".join(part for part in query.split("&") if not part.startswith(_PARAMETER))
