"""What a request wants to be so before it is done (RFC 9110, section 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import PreconditionFailedError
from fileloft_fast.tus.headers import maybe_date

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.storages.entry import Entry

OF_WHAT_IS_THERE: Final = ("if-match", "if-unmodified-since")
"""Fields that want the object to be one that the client knows."""


def check_conditions(head: RequestHead, entry: Entry) -> None:
    """Raise PreconditionFailedError where GET or HEAD is for another version than *entry*.

    These are the first two steps of section 13.2.2; ``download`` has the others.
    """
    wanted = head.headers.get("if-match")
    if wanted is not None:
        # A weak tag keeps its W/ and matches nothing (section 13.1.1).
        tags = {tag.strip().strip('"') for tag in wanted.split(",")}
        if tags.isdisjoint({entry.etag, "*"}):
            raise PreconditionFailedError("the object is another one by now")
        return
    until = maybe_date(head.headers.get("if-unmodified-since", ""))
    if until is not None and int(entry.modified_at) > until:
        raise PreconditionFailedError("the object was modified since")


def must_be_absent(head: RequestHead) -> bool:
    """Return whether nothing may be replaced; PreconditionFailedError for any other condition.

    Between a look at what is there and the change, it can become another object: what cannot be
    promised is refused.
    """
    known = head.headers.get("if-none-match", "").strip()
    if known not in {"", "*"} or any(name in head.headers for name in OF_WHAT_IS_THERE):
        raise PreconditionFailedError("of conditions of writes, there is If-None-Match: * alone")
    return known == "*"
