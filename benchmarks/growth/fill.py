"""Directories full of uploads, written as the server writes them, without one."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from fileloft_fast.model import Offset, UploadId, UploadInfo
from fileloft_fast.stores.fs.info_file import render_info
from fileloft_fast.tus.headers import parse_metadata

if TYPE_CHECKING:
    from pathlib import Path

_BYTES = 4096
_MADE = ".made"  # how many there are, once all of them are


def upload_id(number: int) -> UploadId:
    """Return the id of one of the uploads: as random as a real one, and the same in each run."""
    return UploadId(hashlib.blake2b(number.to_bytes(8), digest_size=16).hexdigest())


def ensure_filled(directory: Path, number: int) -> None:
    """Fill *directory* with *number* finished uploads of 4 KiB, which are holes, unless it is."""
    made = directory / _MADE
    if made.exists() and int(made.read_text(encoding="ascii")) == number:
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    metadata = parse_metadata("filename cGhvdG8uanBn,filetype aW1hZ2UvanBlZw==")
    sample = upload_id(0)
    info = UploadInfo(id=sample, offset=Offset(0), length=_BYTES, metadata=metadata, created_at=1e9)
    contents = render_info(info)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for each in map(upload_id, range(number)):
            _make(folder, each, contents.replace(sample.encode(), each.encode()))
    finally:
        os.close(folder)
    made.write_text(str(number), encoding="ascii")


def _make(folder: int, upload: str, contents: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(upload, flags, 0o600, dir_fd=folder)
    os.ftruncate(descriptor, _BYTES)
    os.close(descriptor)
    descriptor = os.open(f"{upload}.info", flags, 0o600, dir_fd=folder)
    os.write(descriptor, contents)
    os.close(descriptor)
