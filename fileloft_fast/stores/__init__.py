"""⑥ Where uploads are kept: the ``Store`` protocol and the local file system."""

from __future__ import annotations

from fileloft_fast.stores.fs import FsAppender, FsStore, PublishingStore
from fileloft_fast.stores.store import AnyStore, Appender, Found, Look, Reception, Store

__all__ = [
    "AnyStore",
    "Appender",
    "Found",
    "FsAppender",
    "FsStore",
    "Look",
    "PublishingStore",
    "Reception",
    "Store",
]
