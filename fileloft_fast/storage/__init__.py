"""The client of named storages, for app servers: what a client may bring, and what became of it.

``Storage`` waits and ``AsyncStorage`` awaits; both need the extra ``client``. ``issue_ticket``,
``sign_url`` and ``make_path`` ask nobody.
"""

from __future__ import annotations

from fileloft_fast.errors import ConfigError, InvalidPathError
from fileloft_fast.storage.async_client import AsyncDownload, AsyncStorage
from fileloft_fast.storage.client import Download, Storage
from fileloft_fast.storage.failures import (
    BadAnswerError,
    ForbiddenError,
    NotFoundError,
    ObjectExistsError,
    StorageError,
    TimedOutError,
    TooLargeError,
    UnavailableError,
)
from fileloft_fast.storage.tickets import issue_ticket, sign_url
from fileloft_fast.storage.values import StoredObject
from fileloft_fast.storages.description import BinaryUpload, MultipartUpload, UploadDescription
from fileloft_fast.storages.paths import make_path

__all__ = [
    "AsyncDownload",
    "AsyncStorage",
    "BadAnswerError",
    "BinaryUpload",
    "ConfigError",
    "Download",
    "ForbiddenError",
    "InvalidPathError",
    "MultipartUpload",
    "NotFoundError",
    "ObjectExistsError",
    "Storage",
    "StorageError",
    "StoredObject",
    "TimedOutError",
    "TooLargeError",
    "UnavailableError",
    "UploadDescription",
    "issue_ticket",
    "make_path",
    "sign_url",
]
