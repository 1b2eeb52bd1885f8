"""An upload as the spooled store finds it: here, or in the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from fileloft_fast.flush.record import Record
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.stores.fs.found import FsFound


class SpoolFound(Struct, frozen=True):
    """An upload with files in the spool."""

    info: UploadInfo
    local: FsFound


class RemoteFound(Struct, frozen=True):
    """An upload that the bucket knows, and the version of its record."""

    info: UploadInfo
    record: Record
    tag: str


Found: TypeAlias = SpoolFound | RemoteFound
