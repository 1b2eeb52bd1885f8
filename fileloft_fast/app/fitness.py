"""What can be found wrong with settings before anything is opened or taken from anybody."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fileloft_fast.access.grant import load_jwt
from fileloft_fast.config import AuthMode, LockMode
from fileloft_fast.listen import tls_context
from fileloft_fast.stores.remote.load import load_objects
from fileloft_fast.uploads.leases import load_redis

if TYPE_CHECKING:
    from fileloft_fast.config import Settings


def check_fitness(settings: Settings) -> None:
    """Look at the certificate, and for what has to be installed. Raises ConfigError. Blocks.

    Another version may be installed, and files may have changed, since the process that is to be
    followed was started by the same settings.
    """
    tls_context(settings)
    if settings.remote:
        load_objects(settings)
    if settings.storages or settings.storages_file is not None:
        import_module("fileloft_fast.app.storages").check_storages(settings)
    if settings.lock is LockMode.REDIS:
        load_redis(settings.redis_url, settings.lock_ttl_s)
    if {AuthMode.JWT, AuthMode.GRANT} & set(settings.auth):
        load_jwt()
    if settings.hooks_wanted:
        import_module("fileloft_fast.hooks.load").load_sinks(settings)
