"""Uploads as they lie in a data directory, read without a server and without changing anything."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from fileloft_fast.app.shards import folders
from fileloft_fast.config import AckMode
from fileloft_fast.errors import StoreError, UploadGoneError
from fileloft_fast.model import UPLOAD_ID_PATTERN, Concat, Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import parse_info
from fileloft_fast.uploads.expiry import Expiry

if TYPE_CHECKING:
    from fileloft_fast.config import Settings

_INFO_NAME: Final = re.compile(rf"({UPLOAD_ID_PATTERN})\.info\Z")
_LARGEST_INFO: Final = 64 * 1024  # a head, with its metadata, has less
_NAMES: Final = ("filename", "name")
# O_NONBLOCK: a pipe of such a name would be waited for until somebody writes to it.
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Seen(Struct, frozen=True):
    """One upload: what is known of it, or why nothing is. ``state`` is a word for people."""

    id: UploadId
    state: str
    info: UploadInfo | None = None
    problem: str = ""

    @property
    def age_s(self) -> float:
        """Seconds since a byte last came."""
        return 0.0 if self.info is None else max(0.0, time.time() - self.info.modified_at)

    @property
    def name(self) -> str:
        """What the client calls the file."""
        metadata = {} if self.info is None else dict(self.info.metadata.pairs)
        value = next((metadata[key] for key in _NAMES if metadata.get(key)), b"")
        return value.decode("utf-8", "replace")


class Directory:
    """The data directory of *settings*; with an object store, what of uploads is still here."""

    def __init__(self, settings: Settings) -> None:
        self._chunk = chunk = settings.ack is AckMode.CHUNK
        self.path = Path(settings.data_dir, "chunk") if chunk else Path(settings.data_dir)
        ttl_s = settings.expiration_ttl_s if settings.enable_expiration else None
        self._ttl_s = ttl_s
        self._expiry = Expiry(ttl_s, finished_too=settings.expire_finished)

    def uploads(self) -> Iterator[Seen]:
        """Yield every upload, in no order. Raises OSError where the directory cannot be read."""
        for folder in self._folders():
            with os.scandir(folder) as entries:
                for entry in entries:
                    matched = _INFO_NAME.match(entry.name)
                    if matched is not None:
                        seen = self._look(f"{folder}/{matched[1]}", UploadId(matched[1]))
                        if seen is not None:
                            yield seen

    def look(self, upload: UploadId) -> Seen | None:
        """Return one upload, None where there is none. Blocks."""
        if re.fullmatch(UPLOAD_ID_PATTERN, upload) is None:
            return None
        places = [f"{folder}/{upload}" for folder in self._folders()]
        return next(filter(None, (self._look(place, upload) for place in places)), None)

    def _folders(self) -> list[Path]:
        """Return where uploads are; the spools of several workers have the uploads of some ids."""
        if self._chunk or not self.path.is_dir():  # a cache of each worker, of the same uploads
            return [self.path]
        return [self.path, *folders(self.path)]

    def _look(self, place: str, upload: UploadId) -> Seen | None:
        try:
            contents = _read(f"{place}.info")
        except FileNotFoundError:  # or removed while we look
            return None
        except OSError as error:
            return Seen(upload, "unreadable", problem=str(error.strerror))
        try:
            record = parse_info(contents, upload)
            found = os.stat(place)  # noqa: PTH116 - 100,000 of them
        except FileNotFoundError:
            return Seen(upload, "unreadable", problem="its data is not there")
        except (OSError, StoreError) as error:
            return Seen(upload, "unreadable", problem=str(error))
        size = found.st_size
        if record.unverified_from is not None:
            size = min(size, record.unverified_from)
        expires_at = None if self._ttl_s is None else found.st_mtime + self._ttl_s
        info = replace(
            record.info, offset=Offset(size), modified_at=found.st_mtime, expires_at=expires_at
        )
        return Seen(upload, self._state(info), info)

    def _state(self, info: UploadInfo) -> str:
        try:
            self._expiry.check(info)
        except UploadGoneError:
            return "expired"
        return "finished" if info.complete else "unfinished"


def _read(path: str) -> bytes:
    descriptor = os.open(path, _READING)  # a file object costs twice as much
    try:
        return os.read(descriptor, _LARGEST_INFO)
    finally:
        os.close(descriptor)


def told(seen: Seen) -> Mapping[str, object]:
    """Return all that is known of an upload, as it is printed as JSON."""
    info = seen.info
    if info is None:
        return {"id": seen.id, "state": seen.state, "problem": seen.problem}
    return {
        "id": seen.id,
        "state": seen.state,
        "offset": info.offset,
        "length": info.length,
        "owner": info.owner,
        "metadata": {key: value.decode("utf-8", "replace") for key, value in info.metadata.pairs},
        "concat": info.concat.value,
        "partials": list(info.partials) if info.concat is Concat.FINAL else [],
        "created_at": info.created_at,
        "modified_at": info.modified_at,
        "expires_at": info.expires_at,
        "path": info.path,
    }
