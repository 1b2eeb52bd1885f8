"""Settings: one frozen value, read from FILELOFT_* variables that are handed in.

Each field of ``Settings`` is one row of the one table. The reader, ``--help``, ``check`` and
docs/reference/settings.md all go through ``ROWS``.
"""

from __future__ import annotations

from fileloft_fast.config.environment import (
    Reading,
    problems,
    read_settings,
    readings,
    unknown_variables,
)
from fileloft_fast.config.settings import ROWS, Row, Settings
from fileloft_fast.config.values import LOG_LEVELS, BindAddress, SyncMode

__all__ = [
    "LOG_LEVELS",
    "ROWS",
    "BindAddress",
    "Reading",
    "Row",
    "Settings",
    "SyncMode",
    "problems",
    "read_settings",
    "readings",
    "unknown_variables",
]
