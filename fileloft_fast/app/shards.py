"""The data directory where each of several workers has a spool: a folder each, moved at a start.

An upload is in the folder that its id says (``model.shard_of``), or in the data directory itself
where one process serves. Who starts has the whole directory, and first moves every file to where it
belongs by then. Nothing looks at an upload before all moves are done: a kill in the middle leaves
files in two folders, and the next start brings them together again.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.app.fitness import check_fitness
from fileloft_fast.errors import ConfigError
from fileloft_fast.model import MADE_ID_PATTERN, UPLOAD_ID_PATTERN, UploadId, shard_of
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.leftovers import SINCE

if TYPE_CHECKING:
    from fileloft_fast.config import Settings

log = logging.getLogger(__name__)

OWNER_NAME: Final = "spool.id"  # flush.recovery makes it in a spool that is alone
_SUFFIXES: Final = r"(|\.info|\.journal|\.zst|\.info\.tmp|\.tmp)"
_match_file: Final = re.compile(rf"({UPLOAD_ID_PATTERN}){_SUFFIXES}").fullmatch
_is_made: Final = re.compile(MADE_ID_PATTERN).fullmatch
_match_folder: Final = re.compile(r"worker-(?:0|[1-9][0-9]*)").fullmatch
_LOOK_EVERY_S: Final = 0.1


def shard_path(settings: Settings, slot: int) -> Path:
    """Return the spool of the worker in *slot*."""
    return Path(settings.data_dir, f"worker-{slot}")


def alone(settings: Settings) -> Settings:
    """Return *settings* for one process that works on the uploads of all shards."""
    return replace(settings, workers=1) if settings.sharded else settings


def folders(directory: Path) -> list[Path]:
    """Return the spools of workers that there are in *directory*, beside a million files or so."""
    with os.scandir(directory) as entries:
        return sorted(Path(entry.path) for entry in entries if _is_folder(entry))


def owner_of(settings: Settings) -> str:
    """Return the name by which the bucket knows all shards together."""
    return Path(settings.data_dir, OWNER_NAME).read_text(encoding="ascii")


def take_shards(settings: Settings, patience_s: float, on_wait: Callable[[], object]) -> int:
    """Take the data directory for this process and those it forks, with every upload in its shard.

    A predecessor is waited for, after *on_wait*. Returns a descriptor, by which it is
    ours as long as any of them lives. Blocks. Raises ConfigError.
    """

    def wait() -> None:
        check_fitness(settings)  # who goes on our word must not find that we cannot serve
        on_wait()

    directory = Path(settings.data_dir)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _own(descriptor, patience_s, wait)
            for slot in range(settings.workers):
                _ensure_folder(shard_path(settings, slot))
            _ensure_owner(directory)
            reshard(directory, settings.workers)
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise ConfigError(f"FILELOFT_DATA_DIR: {error}") from error
    return descriptor


def reshard(directory: Path, shards: int) -> None:
    """Move every upload to its shard, to *directory* itself where *shards* is 1.

    The caller has the directory alone. May be interrupted, and done again. Blocks. Raises OSError,
    ConfigError where one is in two places.
    """
    places = [directory, *folders(directory)]
    if shards == len(places) == 1:
        return
    noted = set().union(*map(_uploads, places))
    touched: set[Path] = set()
    moved = 0
    for folder in places:
        for name, upload in _files(folder, noted):
            to = directory
            if shards > 1:
                to /= f"worker-{shard_of(upload, shards)}"
            if to != folder:
                _move(name, folder, to)
                moved += 1
                touched |= {folder, to}
    for folder in sorted(touched):
        _sync(folder)
    _remove_spare(directory, 0 if shards == 1 else shards)
    if moved:
        log.info("uploads moved between spools", extra=fields(files=moved, spools=shards))


def _move(name: str, folder: Path, to: Path) -> None:
    if os.path.lexists(to / name) and not name.endswith(".tmp"):  # which nobody will look at
        raise ConfigError(f"FILELOFT_DATA_DIR: {name} is in {folder} and in {to}")
    os.rename(folder / name, to / name)  # noqa: PTH104 - one call a file


def _ensure_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        (folder / SINCE).hardlink_to(folder.parent / SINCE)  # what comes from there is ours, too


def _remove_spare(directory: Path, shards: int) -> None:
    for folder in folders(directory):
        if int(folder.name.removeprefix("worker-")) >= shards:
            (folder / SINCE).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else is in there, which is not ours
                folder.rmdir()


def _uploads(folder: Path) -> set[str]:
    """Return the ids of which *folder* has an ``.info`` or a journal."""
    return {
        match[1]
        for name in os.listdir(folder)  # noqa: PTH208 - no objects
        if (match := _match_file(name)) and match[2] in {".info", ".journal"}
    }


def _files(folder: Path, noted: set[str]) -> Iterator[tuple[str, UploadId]]:
    """Yield the files of uploads: of those in *noted*, and of what has a name as we make them."""
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        match = _match_file(entry.name)
        if match is None or not (match[1] in noted or _is_made(match[1])):
            continue
        if entry.is_file(follow_symlinks=False):
            yield entry.name, UploadId(match[1])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return _match_folder(entry.name) is not None and entry.is_dir(follow_symlinks=False)


def _own(descriptor: int, patience_s: float, on_wait: Callable[[], None]) -> None:
    deadline = time.monotonic() + patience_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ConfigError(
                    "FILELOFT_DATA_DIR: another server works in this directory"
                ) from None
        else:
            return
        if not told:
            told = True
            on_wait()
        time.sleep(_LOOK_EVERY_S)


def _ensure_owner(directory: Path) -> None:
    path = directory / OWNER_NAME
    if path.exists():
        return
    made = directory / f"{OWNER_NAME}.new"
    with open(made, "w", encoding="ascii", opener=_private) as file:
        file.write(secrets.token_hex(16))
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
    _sync(directory)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
