"""Uploads on a local file system: ``{id}`` holds the bytes, ``{id}.info`` says what they are."""

from __future__ import annotations

from fileloft_fast.stores.fs.appender import FsAppender
from fileloft_fast.stores.fs.publishing import PublishingStore
from fileloft_fast.stores.fs.store import FsStore

__all__ = ["FsAppender", "FsStore", "PublishingStore"]
