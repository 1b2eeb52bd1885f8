"""Request heads and uploads as the tests of this room write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fileloft_fast.model import (
    Capability,
    Concat,
    Metadata,
    Offset,
    RequestHead,
    UploadId,
    UploadInfo,
)
from fileloft_fast.tus.headers import OFFSET_STREAM
from fileloft_fast.tus.rules import TusRules

if TYPE_CHECKING:
    from collections.abc import Mapping

ID: Final = UploadId("0123456789abcdef0123456789abcdef")
UPLOAD: Final = f"/files/{ID}"
COLLECTION: Final = "/files/"


Fields: TypeAlias = "Mapping[str, str | None]"


def head(
    method: str,
    path: str = COLLECTION,
    fields: Fields | None = None,
    *,
    size: int = 0,
    chunked: bool = False,
    authority: str = "up.example",
    secure: bool = False,
) -> RequestHead:
    """Return a request with tus's version and *fields*; a field that is None is left out."""
    sent = {"Tus-Resumable": "1.0.0"} | dict(fields or {})
    return RequestHead(
        method,
        path,
        {name.lower(): value for name, value in sent.items() if value is not None},
        authority=authority,
        content_length=None if chunked else size,
        chunked=chunked,
        secure=secure,
    )


def post(fields: Fields, *, size: int = 0, chunked: bool = False) -> RequestHead:
    """Return a creation; its Content-Type is tus's where it has a body and names none."""
    kind = {"Content-Type": OFFSET_STREAM} if size or chunked else {}
    return head("POST", COLLECTION, {**kind, **fields}, size=size, chunked=chunked)


def patch(
    offset: str | None = "0",
    fields: Fields | None = None,
    *,
    size: int = 5,
    chunked: bool = False,
) -> RequestHead:
    """Return a PATCH of ``UPLOAD``."""
    sent = {"Upload-Offset": offset, "Content-Type": OFFSET_STREAM, **(fields or {})}
    return head("PATCH", UPLOAD, sent, size=size, chunked=chunked)


def rules(*without: Capability, **changes: Any) -> TusRules:
    """Return rules with everything on but *without*."""
    return TusRules(capabilities=frozenset(Capability) - set(without), **changes)


def upload(
    offset: int = 0,
    length: int | None = 10,
    *,
    name: str = ID,
    metadata: Metadata | None = None,
    concat: Concat = Concat.NONE,
    concat_raw: str = "",
    expires_at: float | None = None,
    modified_at: float = 0.0,
) -> UploadInfo:
    """Return what a store knows of an upload."""
    return UploadInfo(
        id=UploadId(name),
        offset=Offset(offset),
        length=length,
        metadata=metadata or Metadata("", ()),
        concat=concat,
        concat_raw=concat_raw,
        expires_at=expires_at,
        modified_at=modified_at,
    )
