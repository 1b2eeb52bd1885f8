"""At a server's start: uploads that fileloft left unfinished are continued without being asked for.

Whoever changes the image and nothing else has clients in the middle of uploads.
"""

from __future__ import annotations

import fcntl
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import StoreError
from fileloft_fast.observe.log import fields
from fileloft_fast.stores.fs.adoption.carry import Carrier
from fileloft_fast.stores.fs.adoption.fileloft import LOCKS, FileloftDirectory, is_locks, match_part
from fileloft_fast.stores.fs.adoption.plan import INFO, Plan, Verdict, left_out, read_info
from fileloft_fast.stores.fs.adoption.tusd import maybe_tusd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fileloft_fast.stores.fs.adoption.plan import ForeignDirectory

log = logging.getLogger(__name__)

_LOOKED_AT: Final = 10_000  # names, which takes about 10 ms
_READ: Final = 4
_AT_ONCE: Final = 16  # as many syncs as the engine has at once
_SLICE: Final = 512  # futures are larger than names


def adopt_at_start(path: Path, base_path: str, file_mode: int) -> None:
    """Adopt what fileloft left unfinished in *path*, and say what is to be done by hand. Blocks.

    Where fileloft never was, this looks at the first names in the directory and no further. Raises
    OSError where the directory cannot be read.
    """
    server = former_server(path)
    if server == "tusd":
        log.warning(
            "uploads of tusd lie here, which nobody can reach until they are adopted",
            extra=fields(command=f"fileloft-fast adopt --from tusd {path}"),
        )
    if server != "fileloft":
        return
    try:
        turn = _open_turn(path)
    except OSError as error:
        log.warning("uploads of fileloft cannot be adopted now", extra=fields(error=error))
        return
    with _alone(turn):
        directory = FileloftDirectory(path, base_path, in_place=True, thorough=False)
        carrier = Carrier(path, in_place=True, file_mode=file_mode)
        adopted, left = 0, 0
        for plan in adopt_all(carrier, directory, directory.names()):
            adopted += plan.verdict is Verdict.ADOPT
            left += plan.verdict is Verdict.LEFT_OUT
        if not left:
            directory.retire()
    if adopted or left:
        log.info("adopted uploads of fileloft", extra=fields(uploads=adopted, left_out=left))
    if left:
        log.warning(
            "uploads of fileloft cannot be continued; the command says which, and why",
            extra=fields(
                uploads=left, command=f"fileloft-fast adopt --from fileloft --dry-run {path}"
            ),
        )


def adopt_all(
    carrier: Carrier, directory: ForeignDirectory, names: Sequence[str]
) -> Iterator[Plan]:
    """Adopt *names*, several at a time, since syncs wait for one another's journal; in order."""

    def adopt(name: str) -> Plan:
        return attempt(carrier, decide(carrier, directory, name))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for first in range(0, len(names), _SLICE):
            yield from pool.map(adopt, names[first : first + _SLICE])


def decide(carrier: Carrier, directory: ForeignDirectory, name: str) -> Plan:
    """Return what is to become of *name*; where it cannot be looked at, it is left out."""
    try:
        return carrier.settled(directory.plan(name))
    except FileNotFoundError:  # another worker serves by now, and somebody has deleted it
        return Plan(name=name, verdict=Verdict.KNOWN)
    except OSError as error:
        return left_out(name, os.strerror(error.errno or 0))
    except StoreError as error:
        return left_out(name, str(error))


def attempt(carrier: Carrier, plan: Plan) -> Plan:
    """Do what *plan* says; return it, or the plan to leave the upload out where that failed."""
    if plan.verdict is Verdict.LEFT_OUT:
        return plan
    try:
        carrier.carry(plan)
    except OSError as error:
        return left_out(plan.name, os.strerror(error.errno or 0))
    except StoreError as error:
        return left_out(plan.name, str(error))
    return plan


def former_server(path: Path) -> str:
    """Return whose uploads *path* holds besides ours, as far as its first names tell, or ""."""
    if is_locks(path / LOCKS):
        return "fileloft"
    read = 0
    with os.scandir(path) as entries:
        for entry in islice(entries, _LOOKED_AT):
            if match_part(entry.name):
                return "fileloft"
            if entry.name.endswith(INFO) and read < _READ:
                read += 1
                if _is_tusds(Path(entry.path)):
                    return "tusd"
    return ""


def _is_tusds(path: Path) -> bool:
    """Return whether tusd wrote *path*; what cannot be read is nobody's, and stops no start."""
    try:
        return maybe_tusd(read_info(path).contents) is not None
    except (OSError, StoreError):
        return False


def _open_turn(path: Path) -> int:
    """Open what workers take turns by. OSError: no room, nothing may be written, or it's a file."""
    locks = path / LOCKS
    locks.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(locks, flags)


@contextmanager
def _alone(turn: int) -> Iterator[None]:
    """Keep other workers on the directory from adopting at the same time; they wait."""
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield
    finally:
        os.close(turn)
