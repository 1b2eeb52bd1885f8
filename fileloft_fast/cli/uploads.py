"""``ls``, ``show`` and ``rm``: the uploads of a data directory."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
import uvloop

from fileloft_fast.app import DirectoryTakenError, opened_storage
from fileloft_fast.app.shards import alone
from fileloft_fast.cli.found import Directory, Seen, told
from fileloft_fast.cli.progress import watched
from fileloft_fast.errors import (
    ConfigError,
    FileloftError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.model import UPLOAD_ID_PATTERN, UploadId

if TYPE_CHECKING:
    import argparse

    from fileloft_fast.app import Storage
    from fileloft_fast.config import Settings

_COLUMNS: Final = "{:<32} {:>14} {:>14} {:>4} {:>7} {:<10} {:<12} {}\n"
_UNITS: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "m"), (1.0, "s"))


def add_ls_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``ls``."""
    parser.add_argument("--json", action="store_true", help="an object a line, with all there is")
    parser.add_argument("--unfinished", action="store_true", help="only those that lack bytes")
    parser.add_argument("--finished", action="store_true", help="only those that are whole")
    parser.add_argument("--expired", action="store_true", help="only those that have expired")
    parser.add_argument("--owner", help="only those of this subject")


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``show``."""
    parser.add_argument("id", help="the upload")
    parser.add_argument("--json", action="store_true", help="as a JSON object")


def add_rm_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``rm``."""
    parser.add_argument("id", nargs="+", help="the uploads")
    parser.add_argument(
        "--force", action="store_true", help="also where a request works on one: it is ended"
    )


def ls(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print the uploads, a line each as it is found; return the exit status. Blocks."""
    states = {state for state in ("unfinished", "finished", "expired") if getattr(wanted, state)}
    if not wanted.json:
        head = ("ID", "OFFSET", "LENGTH", "%", "AGE", "STATE", "OWNER", "NAME")
        sys.stdout.write(_COLUMNS.format(*head))
    try:
        for seen in watched(Directory(settings).uploads(), "uploads"):
            owner = "" if seen.info is None else seen.info.owner
            if states and seen.state not in states:
                continue
            if wanted.owner is None or wanted.owner == owner:
                sys.stdout.write(_render_json(seen) if wanted.json else render_line(seen))
        sys.stdout.flush()
    except BrokenPipeError:  # such as of ``ls | head``
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        return _failed(f"{settings.data_dir}: {error.strerror}")
    return 0


def show(settings: Settings, wanted: argparse.Namespace) -> int:
    """Print what is known of one upload; return 1 where there is none. Blocks."""
    seen = Directory(settings).look(UploadId(wanted.id))
    if seen is None:
        return _failed(f"{wanted.id}: no such upload here")
    if wanted.json:
        sys.stdout.write(_render_json(seen))
        return 0
    for key, value in told(seen).items():
        at = key.endswith("_at") and isinstance(value, float) and value > 0
        shown = _render_time(value) if at and isinstance(value, float) else value
        if key == "metadata" and isinstance(value, dict):
            shown = " ".join(f"{name}={_plain(text)}" for name, text in value.items())
        sys.stdout.write(f"{key:<12} {_plain(str(shown))}\n")
    return 0


def rm(settings: Settings, wanted: argparse.Namespace) -> int:
    """Delete uploads; return 1 where one could not be deleted. Blocks. Raises ConfigError."""
    try:
        return uvloop.run(_rm(settings, [UploadId(each) for each in wanted.id], wanted.force))
    except DirectoryTakenError:
        return _failed(f"a server works in {settings.data_dir} alone: ask it, by DELETE")
    except ConfigError:
        raise
    except FileloftError as error:
        return _failed(str(error))


async def _rm(settings: Settings, uploads: list[UploadId], force: bool) -> int:  # noqa: FBT001 - named by the caller's switch
    status = 0
    async with opened_storage(alone(settings)) as storage:
        for upload in watched(uploads, "uploads"):
            problem = await _remove(storage, upload, force=force)
            if problem:
                status = _failed(f"{upload}: {problem}")
            else:
                sys.stdout.write(f"{upload}\n")
    return status


async def _remove(storage: Storage, upload: UploadId, *, force: bool) -> str:
    """Delete one upload; return why not, "" where it was deleted."""
    if re.fullmatch(UPLOAD_ID_PATTERN, upload) is None:
        return "no such upload"
    if storage.locks.is_held(upload) and not force:
        return "a request works on it; --force ends that"
    try:
        async with storage.locks.hold(upload):
            await storage.store.load(upload)
            if not await storage.store.remove(upload):
                return "no such upload"
            if storage.access is not None:
                storage.access.release(upload)
    except UploadLockedError:
        return "a request works on it and does not let go"
    except UploadNotFoundError:
        return "no such upload"
    return ""


def render_line(seen: Seen) -> str:
    """Return the line of one upload; what clients made up is on one line and printable."""
    info = seen.info
    if info is None:
        return _COLUMNS.format(seen.id, "?", "?", "", "", seen.state, "", _plain(seen.problem))
    share = ""
    if info.length is not None:
        share = str(100 if info.complete else min(99, 100 * info.offset // info.length))
    length = "?" if info.length is None else info.length
    owner, name = _plain(info.owner) or "-", _plain(seen.name) or "-"
    age = _render_age(seen.age_s)
    return _COLUMNS.format(seen.id, info.offset, length, share, age, seen.state, owner, name)


def _render_age(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def _render_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _plain(text: str) -> str:
    """Return *text* so that it cannot move the cursor of a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _render_json(seen: Seen) -> str:
    return msgspec.json.encode(told(seen)).decode() + "\n"


def _failed(why: str) -> int:
    sys.stderr.write(f"fileloft-fast: {_plain(why)}\n")
    return 1
