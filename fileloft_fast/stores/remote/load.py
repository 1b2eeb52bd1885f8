"""From the settings to the driver that they name, whose libraries may not be installed.

Nobody else imports a driver: a server on a local disk does without the libraries of all three.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from fileloft_fast.config import Settings, StorageSettings
    from fileloft_fast.stores.remote.objects import ListedObjects, Objects, Pace

_PACKAGE: Final = "fileloft_fast.stores.remote"
_OURS: Final = "fileloft_fast"


def load_objects(settings: Settings, pace: Pace | None = None) -> Objects:
    """Return the object store of *settings*, which connects to nothing before it is started.

    Raises ConfigError where the extra is missing or what is set names no store.
    """
    make = _MAKERS[settings.backend]
    module = _load(settings.backend, f"FILELOFT_BACKEND={settings.backend}")
    return make(module, settings, pace)


class Buckets:
    """Makes the buckets of named storages; of those that are reached alike one client.

    Each takes 12 MiB and, at the start, most of a second. *checksum*: parts carry one.
    """

    def __init__(self, *, checksum: bool) -> None:
        self._checksum = checksum
        self._by_way: dict[tuple[object, ...], ListedObjects] = {}

    def load(self, storage: StorageSettings, pace: Pace | None = None) -> ListedObjects:
        """Return the bucket of *storage*, as ``load_objects`` does. Raises ConfigError."""
        module = _load("s3", f"the storage {storage.name}")
        keys = (storage.access_key, storage.secret_key)
        way = (storage.endpoint, storage.region, storage.path_style, keys)
        objects: ListedObjects = module.S3Objects(
            bucket=storage.bucket,
            endpoint=storage.endpoint,
            region=storage.region,
            path_style=storage.path_style,
            keys=keys if any(keys) else None,
            beside=self._by_way.get(way),
            checksum=self._checksum,
            pace=pace,
        )
        self._by_way[way] = objects
        return objects


def _load(backend: str, named: str) -> ModuleType:
    """Import a driver, or say how to install what it needs, and who wants it."""
    try:
        return import_module(f"{_PACKAGE}.{backend}")
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] == _OURS:
            raise
        extra = f"pip install 'fileloft-fast[{backend}]'"
        raise ConfigError(f"{named} needs an extra: {extra}") from missing


def _s3(module: ModuleType, settings: Settings, pace: Pace | None) -> Objects:
    objects: Objects = module.S3Objects(
        bucket=settings.s3_bucket,
        endpoint=settings.s3_endpoint or "",
        region=settings.s3_region or "",
        path_style=settings.s3_force_path_style,
        checksum=settings.s3_checksum,
        pace=pace,
    )
    return objects


def _gcs(module: ModuleType, settings: Settings, pace: Pace | None) -> Objects:
    objects: Objects = module.GcsObjects(
        bucket=settings.gcs_bucket,
        endpoint=settings.gcs_endpoint or settings.gcs_emulator,
        # As Google's own libraries do: nobody's token is sent to an emulator.
        anonymous=settings.gcs_endpoint is None and settings.gcs_emulator is not None,
        pace=pace,
    )
    return objects


def _azure(module: ModuleType, settings: Settings, pace: Pace | None) -> Objects:
    objects: Objects = module.AzureObjects(
        container=settings.azure_container,
        connection_string=settings.azure_connection_string,
        account=settings.azure_account,
        endpoint=settings.azure_endpoint,
        pace=pace,
    )
    return objects


_MAKERS: Final[Mapping[str, Callable[[ModuleType, Settings, Pace | None], Objects]]] = {
    "s3": _s3,
    "gcs": _gcs,
    "azure": _azure,
}
