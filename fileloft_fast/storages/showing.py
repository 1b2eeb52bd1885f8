"""What a GET of an object sends: its bytes, its type, and how long a cache may keep them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import NoSuchObjectError
from fileloft_fast.model import Response
from fileloft_fast.storages.conditions import check_conditions
from fileloft_fast.tus import download

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage

Fields = tuple[tuple[str, str], ...]

_LOOKS: Final = 3
"""How often an object is looked up that is replaced as often before it can be opened."""


async def shown(storage: NamedStorage, path: str, head: RequestHead, fields: Fields) -> Response:
    """Answer GET or HEAD with the object at *path*; *fields* are sent besides what describes it.

    Raises NoSuchObjectError, PreconditionFailedError, RangeNotSatisfiableError, StoreError.
    """
    if head.method == "HEAD":
        head = _without(head, "range")  # RFC 9110, section 14.2: of GET alone
    return await latest(storage, path, head, describe, fields)


async def latest(
    storage: NamedStorage,
    path: str,
    head: RequestHead,
    described: Callable[[Entry], Fields],
    fields: Fields,
) -> Response:
    """Answer as ``shown`` does; *described* tells what the object is, or raises what refuses it."""
    for last in (False,) * (_LOOKS - 1) + (True,):
        entry = await storage.look(path)
        if entry is None:
            break
        try:
            return await _sent(storage, entry, head, described(entry), fields)
        except NoSuchObjectError:
            if last:
                raise
            # Replaced since it was looked up: there was an object at this path all the time.
    raise NoSuchObjectError("no such object")


async def _sent(
    storage: NamedStorage, entry: Entry, head: RequestHead, described: Fields, fields: Fields
) -> Response:
    check_conditions(head, entry)
    tag = f'"{entry.etag}"'
    if head.headers.get("if-range", tag) != tag:
        # A date is no strong validator: of two versions of one second, parts would be mixed.
        head = _without(head, "range")
    selection = download.choose(
        head,
        size=entry.size,
        etag=tag,
        modified_at=int(entry.modified_at),
        described=described,
    )
    if head.method == "HEAD" and selection.status != 304:
        length = ("Content-Length", str(selection.length))
        return Response(selection.status, (*selection.headers, length), common=fields)
    if selection.length == 0:
        return Response(selection.status, selection.headers, common=fields)
    part = await storage.read(entry, selection.start, selection.length)
    return Response(selection.status, selection.headers, part, common=fields)


def describe(entry: Entry) -> Fields:
    """Return the fields that say what the bytes are.

    A page or a drawing with scripts in it, brought by whomever, must not act in our origin's name.
    """
    fields = [("Content-Type", entry.content_type)]
    if not _is_inert(entry.content_type):
        fields.append(("Content-Security-Policy", "sandbox"))
    return tuple(fields)


def _is_inert(content_type: str) -> bool:
    """Return whether a browser that shows it runs nothing of it.

    Of several types with commas between them, a browser takes the last one (Fetch, "extract a MIME
    type").
    """
    kind = content_type.partition(";")[0].strip().lower()
    return "," not in content_type and kind in download.INLINE


def _without(head: RequestHead, field: str) -> RequestHead:
    if field not in head.headers:
        return head
    return replace(head, headers={n: v for n, v in head.headers.items() if n != field})
