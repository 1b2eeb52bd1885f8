"""The composition root: from the settings to a process that serves."""

from __future__ import annotations

from fileloft_fast.app.process import serve
from fileloft_fast.app.sharing import DirectoryTakenError
from fileloft_fast.app.storage import Storage, opened_storage

__all__ = ["DirectoryTakenError", "Storage", "opened_storage", "serve"]
