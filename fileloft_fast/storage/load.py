"""From a client to what speaks HTTP for it, whose library may not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from types import ModuleType


def load_wire() -> ModuleType:
    """Return the module of the connections. Raises ConfigError where its extra is missing."""
    try:
        return import_module("fileloft_fast.storage.wire")
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "httpx2":
            raise
        raise ConfigError(
            "fileloft_fast.storage needs an extra: pip install 'fileloft-fast[client]'"
        ) from missing
