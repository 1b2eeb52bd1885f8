"""What a GET of an object sends: its bytes, its type, and how long a cache may keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.errors import NoSuchObjectError
from fileloft_fast.model import Response
from fileloft_fast.tus import download

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage

Fields = tuple[tuple[str, str], ...]


async def shown(storage: NamedStorage, path: str, head: RequestHead, fields: Fields) -> Response:
    """Answer GET or HEAD with the object at *path*; *fields* are sent besides what describes it.

    Raises NoSuchObjectError, RangeNotSatisfiableError, StoreError.
    """
    entry = await _look(storage, path)
    try:
        return await sent(storage, entry, head, describe(entry), fields)
    except NoSuchObjectError:  # replaced since the look: another version is there, or nothing
        entry = await _look(storage, path)
        return await sent(storage, entry, head, describe(entry), fields)


async def _look(storage: NamedStorage, path: str) -> Entry:
    entry = await storage.look(path)
    if entry is None:
        raise NoSuchObjectError("no such object")
    return entry


async def sent(
    storage: NamedStorage, entry: Entry, head: RequestHead, described: Fields, fields: Fields
) -> Response:
    """Answer GET or HEAD with *entry*, of which *described* says what it is; see ``shown``."""
    selection = download.choose(
        head,
        size=entry.size,
        etag=f'"{entry.etag}"',
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
    if entry.content_type.partition(";")[0].strip().lower() not in download.INLINE:
        fields.append(("Content-Security-Policy", "sandbox"))
    return tuple(fields)
