"""``adopt``: go on with what another server left in a directory."""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from fileloft_fast.errors import ConfigError
from fileloft_fast.stores.fs.adoption import (
    Carrier,
    FileloftDirectory,
    TusdDirectory,
    Verdict,
    adopt_all,
    decide,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fileloft_fast.config import Settings
    from fileloft_fast.stores.fs.adoption import ForeignDirectory, Plan

_DIRECTORIES: Final = {"fileloft": FileloftDirectory, "tusd": TusdDirectory}
_SPOOL_NAME: Final = "spool.id"


class Tally(Struct):
    """How many uploads came to what, and how many bytes they have."""

    unfinished: int = 0
    unfinished_bytes: int = 0
    finished: int = 0
    finished_bytes: int = 0
    known: int = 0
    left_out: int = 0

    def count(self, plan: Plan) -> None:
        """Count what became of *plan*."""
        if plan.verdict is Verdict.LEFT_OUT:
            self.left_out += 1
        elif plan.info is None:
            self.known += 1
        elif plan.info.complete:
            self.finished += 1
            self.finished_bytes += plan.info.offset
        else:
            self.unfinished += 1
            self.unfinished_bytes += plan.info.offset

    def render(self, *, dry_run: bool) -> str:
        """Return the table that the command ends with."""
        done = "to adopt" if dry_run else "adopted"
        rows = (
            (f"{done}, unfinished", self.unfinished, str(self.unfinished_bytes)),
            (f"{done}, finished", self.finished, str(self.finished_bytes)),
            ("nothing to do", self.known, ""),
            ("left out", self.left_out, ""),
        )
        lines = [f"{'':21}{'uploads':>10}{'bytes':>20}"]
        lines += [f"{name:21}{uploads:>10}{size:>20}".rstrip() for name, uploads, size in rows]
        return "\n".join(lines) + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``adopt`` takes."""
    parser.add_argument("--from", dest="server", required=True, choices=sorted(_DIRECTORIES))
    parser.add_argument("directory", metavar="DIR", help="that server's directory")
    parser.add_argument(
        "--into",
        metavar="DATA_DIR",
        help="make the uploads here and leave DIR as it is; without it, DIR is where they stay",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def adopt(settings: Settings, wanted: argparse.Namespace) -> int:
    """Adopt, print what was left out and a table, and return the exit status. Blocks.

    1 where something was left out. Raises ConfigError where a directory cannot be worked in.
    """
    source, into = Path(wanted.directory), Path(wanted.into or wanted.directory)
    in_place = into.exists() and source.exists() and source.samefile(into)
    if not source.is_dir():
        raise ConfigError(f"adopt: {source} is not a directory")
    if settings.remote or (into / _SPOOL_NAME).exists():
        raise ConfigError("FILELOFT_BACKEND: uploads are adopted into a local disk only (fs)")
    directory = _DIRECTORIES[wanted.server](source, settings.base_path, in_place=in_place)
    try:
        if wanted.dry_run:
            carrier = Carrier(into, in_place=in_place, file_mode=settings.file_mode)
            return _report(_rehearse(directory, carrier), dry_run=True)
        with _owned(into):
            return _report(_carry_all(directory, into, settings, in_place=in_place), dry_run=False)
    except OSError as error:
        raise ConfigError(f"adopt: {error}") from error


def _rehearse(directory: ForeignDirectory, carrier: Carrier) -> Tally:
    tally = Tally()
    for name in directory.names():
        plan = decide(carrier, directory, name)
        tally.count(plan)
        if plan.verdict is not Verdict.KNOWN or plan.leftovers:
            sys.stdout.write(f"{render_plan(plan)}\n")
    return tally


def _carry_all(
    directory: ForeignDirectory, into: Path, settings: Settings, *, in_place: bool
) -> Tally:
    from tqdm import tqdm  # noqa: PLC0415 - 3 MiB, which no server shall carry

    tally = Tally()
    names = directory.names()
    quiet = not sys.stderr.isatty()
    with (
        tqdm(total=len(names), unit=" uploads", disable=quiet, leave=False) as uploads,
        tqdm(unit="B", unit_scale=True, disable=quiet, position=1, leave=False) as moved,
    ):
        carrier = Carrier(into, in_place=in_place, file_mode=settings.file_mode, moved=moved.update)
        for plan in adopt_all(carrier, directory, names):
            uploads.update()
            tally.count(plan)
            if plan.verdict is Verdict.LEFT_OUT or plan.why:
                tqdm.write(render_plan(plan), file=sys.stdout)
    if in_place and not tally.left_out:
        directory.retire()
    return tally


def _report(tally: Tally, *, dry_run: bool) -> int:
    sys.stdout.write(tally.render(dry_run=dry_run))
    return 1 if tally.left_out else 0


def render_plan(plan: Plan) -> str:
    """Return one line: the upload, what becomes of it, and why."""
    parts = [plan.name, plan.verdict.value]
    if plan.info is not None:
        length = "?" if plan.info.length is None else plan.info.length
        parts.append(f"{plan.info.offset} of {length} bytes from {len(plan.sources)} files")
    if plan.leftovers:
        parts.append(f"{len(plan.leftovers)} files go")
    if plan.why:
        parts.append(plan.why)
    return _printable(": ".join((parts[0], ", ".join(parts[1:]))))


def _printable(line: str) -> str:
    """Return *line* as a terminal can show it: names in a directory are what anybody made them."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in line
    )


@contextmanager
def _owned(path: Path) -> Iterator[None]:
    """Own the data directory as a server does, for as long as the command works in it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigError(f"adopt: a server works in {path}; stop it first") from None
    finally:
        os.close(descriptor)
