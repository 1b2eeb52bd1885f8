"""From a setting to the locks that it names, whose library may not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from fileloft_fast.uploads.leases.lease import Leases


def load_redis(url: str, ttl_s: float) -> Leases:
    """Return the locks in the Redis at *url*. Raises ConfigError; connects to nothing yet."""
    try:
        module = import_module("fileloft_fast.uploads.leases.redis")
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "redis":
            raise
        raise ConfigError(
            "FILELOFT_LOCK=redis needs an extra: pip install 'fileloft-fast[redis]'"
        ) from missing
    try:
        leases: Leases = module.RedisLeases(url, ttl_s)
    except ValueError as error:
        raise ConfigError(f"FILELOFT_REDIS_URL: {error}") from error
    return leases
