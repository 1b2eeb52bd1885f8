"""Locks between the processes of one host: kernel locks, and datagrams that ask for them."""

from __future__ import annotations

from fileloft_fast.uploads.host.files import LockFiles, NoHostLocksError
from fileloft_fast.uploads.host.locks import HostLocks
from fileloft_fast.uploads.host.post import Post

__all__ = ["HostLocks", "LockFiles", "NoHostLocksError", "Post"]
