"""A whole object that comes as the body of one request, from a ticket's client or an app server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.errors import InvalidHeaderError, ObjectExistsError, PreconditionFailedError
from fileloft_fast.storages.conditions import must_be_absent
from fileloft_fast.tus.effects import IDENTITY
from fileloft_fast.tus.headers import parse_coding

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead
    from fileloft_fast.storages.entry import Entry, Wish
    from fileloft_fast.storages.named import NamedStorage

Put = Callable[["NamedStorage", "Wish", "RequestHead", "Body"], Awaitable["Entry"]]


async def put_body(storage: NamedStorage, wish: Wish, head: RequestHead, body: Body) -> Entry:
    """Have *body*, decoded, as the object; see ``NamedStorage.put``."""
    coding = parse_coding(head.headers.get("content-encoding"))
    size = None if head.chunked or coding is not IDENTITY else head.content_length
    wish = typed(wish, head.headers.get("content-type", ""))
    return await storage.put(wish, body, size, coding=coding)


async def take_whole(
    storage: NamedStorage, wish: Wish, head: RequestHead, body: Body, put: Put = put_body
) -> Entry:
    """Have *put* receive what *head* brings, as far as its conditions allow.

    Raises PreconditionFailedError, InvalidHeaderError, and what *put* raises.
    """
    with conditional(head, wish) as wanted:
        return await put(storage, wanted, head, body)


@contextmanager
def conditional(head: RequestHead, wish: Wish) -> Iterator[Wish]:
    """Give *wish* as the conditions of *head* allow it to come true, and say so if it cannot.

    Raises PreconditionFailedError, InvalidHeaderError.
    """
    if "content-range" in head.headers:  # RFC 9110, section 14.5: or a part becomes the whole
        raise InvalidHeaderError("an object comes whole, or by a protocol for pieces")
    absent = must_be_absent(head)
    try:
        yield replace(wish, overwrite=False) if absent else wish
    except ObjectExistsError as error:
        if absent:
            raise PreconditionFailedError(str(error)) from error
        raise


def typed(wish: Wish, content_type: str) -> Wish:
    """Return *wish* with the type that it says already, else with that which its client does."""
    return wish if wish.content_type else replace(wish, content_type=content_type)
