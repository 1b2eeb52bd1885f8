"""An upload as the file-system store finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo
    from fileloft_fast.stores.fs.info_file import Slot


class FsFound(Struct, frozen=True):
    """An upload on disk: its info, and what recovery may have to do.

    ``slot``: what is kept of its hashes, None where it is not hashed as a whole.
    """

    info: UploadInfo
    mark_at: int | None
    marked: bool
    slot: Slot | None = None
