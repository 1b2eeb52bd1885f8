"""What an error of the disk means for a request."""

from __future__ import annotations

import errno
import os
from typing import Final

from fileloft_fast.errors import StorageBusyError, StorageFullError, StoreError

# EFBIG: a limit on file sizes (RLIMIT_FSIZE, or the file system's own) is a full disk to a client.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

# ECANCELED: a long copy that a stop has cut short; the next process can make it.
_BUSY: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ECANCELED})

PEER_ERRNOS: Final = frozenset(
    {
        0,
        errno.ECANCELED,
        errno.ECONNABORTED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.EPROTO,
        errno.ETIMEDOUT,
    }
)
"""Ends of a transfer that are the client's doing or were asked for; any other is the disk's."""


def store_error(error: OSError) -> StoreError:
    """Return the failure that a request ends with."""
    if error.errno in _FULL:
        return StorageFullError("the disk is full")
    if error.errno in _BUSY:
        return StorageBusyError("no descriptors or memory left")
    return StoreError(f"the disk failed: {os.strerror(error.errno or 0)}")
