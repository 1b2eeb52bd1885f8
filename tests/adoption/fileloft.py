"""A directory as fileloft writes it: crates/fileloft-store-fs, as of April 2026."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Fileloft:
    """Makes in *path* what fileloft's requests leave there. Times go up by a second a write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._now = 1_700_000_000
        (path / "locks").mkdir(parents=True, exist_ok=True)

    def write(self, name: str, contents: bytes) -> None:
        """Write a file, a second after the one before."""
        self._now += 1
        (self.path / name).write_bytes(contents)
        os.utime(self.path / name, (self._now, self._now))

    def record(self, name: str, size: int | None, offset: int, **fields: Any) -> None:
        """Write ``.info``, all of serde's fields in it."""
        record: dict[str, Any] = {
            "id": name,
            "size": size,
            "offset": offset,
            "metadata": {},
            "size_is_deferred": size is None,
            "expires_at": None,
            "is_partial": False,
            "is_final": False,
            "partial_uploads": [],
            "storage": {},
        }
        contents = json.dumps(record | fields, separators=(",", ":"), ensure_ascii=False)
        self.write(f"{name}.info", contents.encode())

    def parts(self, name: str, pieces: Sequence[bytes]) -> None:
        """Write a part for each PATCH."""
        for number, piece in enumerate(pieces):
            self.write(f"{name}_part_{number}", piece)

    def unfinished(
        self, name: str, pieces: Sequence[bytes], size: int | None, **fields: Any
    ) -> None:
        """Leave an upload as POST and a PATCH for each of *pieces* do."""
        self.parts(name, pieces)
        self.record(name, size, sum(map(len, pieces)), **fields)

    def finished(self, name: str, data: bytes, **fields: Any) -> None:
        """Leave an upload as it is when its last byte has come."""
        self.record(name, len(data), len(data), **fields)
        self.write(name, data)


def tree(path: Path) -> Mapping[str, tuple[int, int, bytes]]:
    """Return every name under *path* with its mode, time of change and contents."""
    found = {}
    for entry in sorted(path.rglob("*")):
        about = entry.lstat()
        contents = entry.read_bytes() if entry.is_file() else b""
        found[str(entry.relative_to(path))] = (about.st_mode, about.st_mtime_ns, contents)
    return found
