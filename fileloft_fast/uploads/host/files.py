"""Which process of this host has an upload: bytes of a few files, locked by the kernel.

The locks belong to the open file description (fcntl(2), F_OFD_SETLK): the kernel frees them however
a process ends, and nothing is ever stale.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import LockServiceError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId

log = logging.getLogger(__name__)

FOLDER: Final = ".locks"
"""Its part of the data directory: no upload's id begins with a dot."""

# The kernel goes through all locks of a file for each one: a pair of lock and unlock takes 3 us
# beside 100 others, 19 us beside 1,000 and 560 us beside 10,000. So they are spread.
_FILES: Final = 64
_PLACES: Final = 2**61 - 1
_FLOCK: Final = Struct("hhqqi4x")  # type, whence, start, length, pid
_pack: Final = _FLOCK.pack  # names of this module: every PATCH comes by here
_fcntl: Final = fcntl.fcntl
_SET: Final = fcntl.F_OFD_SETLK
_GET: Final = fcntl.F_OFD_GETLK
_WRITE: Final = fcntl.F_WRLCK
_NONE: Final = fcntl.F_UNLCK
_ROLES: Final = "roles"


class NoHostLocksError(Exception):
    """This file system cannot lock between processes as we need it."""


class LockFiles:
    """The lock files of one data directory, opened by one process; not to be shared by a fork.

    Raises NoHostLocksError where there are no such locks, OSError where there is no room for them.
    """

    def __init__(self, directory: str) -> None:
        folder = Path(directory, FOLDER)
        folder.mkdir(mode=0o700, exist_ok=True)
        self._roles = _open(folder / _ROLES)
        self._files: tuple[int, ...] = ()
        try:
            self._probe()
            self._files = tuple(_open(folder / f"{number:02x}") for number in range(_FILES))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give everything back that is locked."""
        for descriptor in (self._roles, *self._files):
            os.close(descriptor)

    def try_lock(self, place: int) -> bool:
        """Lock *place* for this process; False while another one has it. LockServiceError."""
        try:
            _fcntl(self._files[place % _FILES], _SET, _pack(_WRITE, 0, place, 1, 0))
        except OSError as error:
            return _taken(error)
        return True

    def unlock(self, place: int) -> None:
        """Give *place* back."""
        _fcntl(self._files[place % _FILES], _SET, _pack(_NONE, 0, place, 1, 0))

    def is_locked_elsewhere(self, place: int) -> bool:
        """Return whether another process has *place* now."""
        found = _fcntl(self._files[place % _FILES], _GET, _pack(_WRITE, 0, place, 1, 0))
        return bool(_FLOCK.unpack(found)[0] != _NONE)

    @property
    def roles(self) -> int:
        """The descriptor of the file whose bytes stand for what one process does for all."""
        return self._roles

    def _probe(self) -> None:
        """Raise NoHostLocksError where the file system knows no such locks."""
        try:
            _fcntl(self._roles, _GET, _pack(_WRITE, 0, 0, 1, 0))
        except OSError as error:
            raise NoHostLocksError(str(error)) from error


class Role:
    """What one process at a time does for all of them; see ``sweeper.Turn``."""

    def __init__(self, files: LockFiles, number: int) -> None:
        self._files = files
        self._number = number

    def try_take(self) -> bool:
        """Take it, or go on with it; False while another process does it."""
        try:
            _fcntl(self._files.roles, _SET, _pack(_WRITE, 0, self._number, 1, 0))
        except OSError as error:
            try:
                return _taken(error)
            except LockServiceError:
                log.warning("no turn", extra=fields(error=error))
                return False
        return True

    def leave(self) -> None:
        """Leave it to another process."""
        _fcntl(self._files.roles, _SET, _pack(_NONE, 0, self._number, 1, 0))


def place_of(upload: UploadId) -> int:
    """Return the byte that stands for *upload*: the same in every process and version.

    Two uploads of one place would not be kept apart within a process: it takes all of the id.
    """
    if len(upload) == 32 and upload == upload.lower():
        try:
            return int.from_bytes(bytes.fromhex(upload), "big") % _PLACES
        except ValueError:
            pass  # not one of ours
    return int.from_bytes(blake2b(upload.encode(), digest_size=8).digest(), "big") % _PLACES


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _taken(error: OSError) -> bool:
    """Return False: another process has it. Raises LockServiceError for any other *error*."""
    if error.errno in {errno.EAGAIN, errno.EACCES}:
        return False
    raise LockServiceError("the locks of the data directory fail") from error
