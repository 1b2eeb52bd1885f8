"""Operations on objects: put, get, head and delete."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import structs

from fileloft_fast.model import Response
from fileloft_fast.s3front.asked import check_key
from fileloft_fast.s3front.codes import InvalidArgumentError, NotImplementedS3Error
from fileloft_fast.s3front.incoming import Incoming
from fileloft_fast.storages.conditions import OF_WHAT_IS_THERE
from fileloft_fast.storages.entry import Wish
from fileloft_fast.storages.showing import describe, latest

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead
    from fileloft_fast.s3front.asked import Asked
    from fileloft_fast.storages.entry import Entry
    from fileloft_fast.storages.named import NamedStorage, Storages

Fields = tuple[tuple[str, str], ...]

_META: Final = "x-amz-meta-"
_MOST_META_BYTES: Final = 2000  # S3 takes 2048, of which a bucket behind us needs some for an id
_is_name: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # of a header field
_LONGEST_TYPE: Final = 255
_OVERRIDES: Final = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
    "response-content-type": "Content-Type",
    "response-expires": "Expires",
}


class Objects:
    """Answers for the objects of *storages*."""

    def __init__(self, storages: Storages) -> None:
        self._storages = storages

    async def get(self, asked: Asked) -> Response:
        """Answer GetObject and HeadObject."""
        storage = self._storages.named(asked.bucket)
        path = check_key(storage, asked.key)
        return await latest(storage, path, asked.head, partial(_described, asked), ())

    async def put(self, asked: Asked) -> Response:
        """Answer PutObject: what is there with the answer is there for good."""
        storage = self._storages.named(asked.bucket)
        wish = wish_of(asked, storage)
        incoming = Incoming(asked)
        entry = await storage.put(
            wish,
            asked.body,
            incoming.size,
            pieces=incoming.pieces,
            check=incoming.check,
            algorithm=incoming.algorithm,
        )
        fields = incoming.fields
        if fields:
            fields = (*fields, ("X-Amz-Checksum-Type", "FULL_OBJECT"))
        return Response(200, (("ETag", f'"{entry.etag}"'), *fields))

    async def delete(self, asked: Asked) -> Response:
        """Answer DeleteObject: it is gone, whether or not it was there."""
        storage = self._storages.named(asked.bucket)
        if must_be_absent(asked.head):
            raise NotImplementedS3Error("No condition is implemented for deleting.")
        await storage.delete(check_key(storage, asked.key))
        return Response(204)


def must_be_absent(head: RequestHead) -> bool:
    """Return whether nothing may be replaced. Raises NotImplementedS3Error."""
    known = head.headers.get("if-none-match", "")
    if known not in {"", "*"} or any(name in head.headers for name in OF_WHAT_IS_THERE):
        raise NotImplementedS3Error("Of conditions, only If-None-Match: * is implemented here.")
    return known == "*"


def wish_of(asked: Asked, storage: NamedStorage) -> Wish:
    """Return the object that the head of *asked* describes. Raises S3Error, InvalidPathError."""
    kind = asked.head.headers.get("content-type", "")
    if len(kind) > _LONGEST_TYPE or not _is_plain(kind):
        raise InvalidArgumentError("The content type is none.", ArgumentName="Content-Type")
    return Wish(
        path=check_key(storage, asked.key),
        max_size=storage.largest(),
        overwrite=not must_be_absent(asked.head),
        content_type=kind,
        metadata=_metadata(asked),
    )


def _metadata(asked: Asked) -> Fields:
    headers = asked.head.headers
    return check_metadata(
        tuple((n.removeprefix(_META), v) for n, v in headers.items() if n.startswith(_META))
    )


def check_metadata(found: Fields) -> Fields:
    """Return *found* if it can be kept with an object and sent as header fields."""
    if sum(len(name) + len(value) for name, value in found) > _MOST_META_BYTES:
        raise InvalidArgumentError(f"Metadata may have {_MOST_META_BYTES} bytes in all.")
    if not all(_is_name(name) and _is_plain(value) for name, value in found):
        raise InvalidArgumentError("Metadata are printable ASCII, and their names are words.")
    return found


def _described(asked: Asked, entry: Entry) -> Fields:
    """Return what tells of *entry*, with what the client wants to be told instead."""
    kind = asked.value("response-content-type") or entry.content_type
    fields = dict(describe(structs.replace(entry, content_type=kind)))
    for parameter, name in _OVERRIDES.items():
        value = asked.value(parameter)
        if not _is_plain(value):
            raise InvalidArgumentError(f"{parameter} is no value.", ArgumentName=parameter)
        if value:
            fields[name] = value
    metadata = ((f"X-Amz-Meta-{name}", value) for name, value in entry.metadata)
    return (*fields.items(), *metadata)


def _is_plain(value: str) -> bool:
    return value.isascii() and (value.isprintable() or not value)
