"""What a storage says of its objects."""

from __future__ import annotations

from msgspec import Struct


class StoredObject(Struct, frozen=True, kw_only=True):
    """An object that a storage has.

    ``etag`` changes where the bytes do; ``modified_at`` is in seconds since 1970. ``content_type``
    is empty in lists of a bucket, since none of S3 tells it.
    """

    path: str
    size: int
    etag: str
    content_type: str
    modified_at: float


class Page(Struct, frozen=True):
    """Some of the objects, in the order of their paths, and after which path the next are."""

    objects: tuple[StoredObject, ...]
    next: str | None = None
