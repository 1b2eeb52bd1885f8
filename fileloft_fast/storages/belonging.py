"""Which catalogue a folder belongs to: another one would take every object in it for rubbish."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from fileloft_fast.storages.catalogue import Catalogue

MARK: Final = ".storage"


class Mark(msgspec.Struct, frozen=True):
    """What ``MARK`` in a folder says: the storage, and the token that its catalogue gave it."""

    storage: str
    token: str


async def claim(catalogue: Catalogue, storage: str, folder: str) -> None:
    """See to it that *folder* is that of *storage*, and of this very catalogue.

    A new folder is marked. Raises ConfigError where the folder is another storage's, or has uploads
    and no mark: then nothing in it is touched.
    """
    loop = asyncio.get_running_loop()
    place = await loop.run_in_executor(None, Path(folder).resolve)
    token = await catalogue.token(storage, place)
    try:
        await loop.run_in_executor(None, _check, place, Mark(storage, token))
    except OSError as error:
        raise ConfigError(f"FILELOFT_STORAGES: {storage}: {error}") from error


def _check(folder: Path, ours: Mark) -> None:
    place, start = folder / MARK, f"FILELOFT_STORAGES: {ours.storage}: {folder}"
    if not place.exists():
        if next(folder.glob("*.info"), None) is not None:
            raise ConfigError(f"{start} has uploads that are no objects")
        _write(place, ours)
    try:
        found = msgspec.json.decode(place.read_bytes(), type=Mark)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{start}: {MARK} cannot be read: {error}") from error
    if found.storage != ours.storage:
        raise ConfigError(f"{start} has the objects of {found.storage}")
    if found != ours:
        raise ConfigError(
            f"{start} belongs to another catalogue: restore the storages.db that was used with it"
        )


def _write(place: Path, mark: Mark) -> None:
    """Write the mark, whole or not at all; another worker's, which is the same, may be first."""
    draft = place.with_name(f"{MARK}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(mark) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(place)
