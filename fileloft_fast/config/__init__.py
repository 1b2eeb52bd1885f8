"""Settings: one frozen value, read from FILELOFT_* variables that are handed in.

Each field of ``Settings`` is one row of the one table. The reader, ``--help``, ``check`` and
docs/reference/settings.md all go through ``ROWS``.
"""

from __future__ import annotations

from fileloft_fast.config.access_values import AuthMode
from fileloft_fast.config.environment import (
    Reading,
    problems,
    read_settings,
    readings,
    unknown_variables,
)
from fileloft_fast.config.hook_values import HookEvent
from fileloft_fast.config.networks import Networks
from fileloft_fast.config.resuming import DigestMode
from fileloft_fast.config.rows import Row
from fileloft_fast.config.settings import ROWS, Settings
from fileloft_fast.config.storage_values import (
    PathRules,
    StorageBackend,
    StorageSettings,
    read_storages,
)
from fileloft_fast.config.storing import taken_names
from fileloft_fast.config.values import (
    LOG_LEVELS,
    AckMode,
    BindAddress,
    LockMode,
    LogFormat,
    SyncMode,
    TlsMode,
)

__all__ = [
    "LOG_LEVELS",
    "ROWS",
    "AckMode",
    "AuthMode",
    "BindAddress",
    "DigestMode",
    "HookEvent",
    "LockMode",
    "LogFormat",
    "Networks",
    "PathRules",
    "Reading",
    "Row",
    "Settings",
    "StorageBackend",
    "StorageSettings",
    "SyncMode",
    "TlsMode",
    "problems",
    "read_settings",
    "read_storages",
    "readings",
    "taken_names",
    "unknown_variables",
]
