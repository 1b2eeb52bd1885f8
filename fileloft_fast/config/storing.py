"""Settings of named storages: which there are, who may ask for what, and the S3 front."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fileloft_fast.config.access_values import parse_secrets
from fileloft_fast.config.observing import Observing
from fileloft_fast.config.rows import setting
from fileloft_fast.config.storage_values import StorageSettings, parse_storages
from fileloft_fast.config.values import maybe, parse_positive_count, parse_size

_TAKEN: Final = frozenset({"ui"})  # "v1" and others that are too short are no names anyway
_OPERATIONS: Final = frozenset({"metrics", "healthz", "readyz"})

# What stands in the credential of a signature, between other things.
_ACCESS_KEY: Final = re.compile(r"(?:[A-Za-z0-9._@+=-]{3,128})?")
_SECRET_KEY: Final = re.compile(r"(?:[!-~]{8,256})?")


def parse_access_key(text: str) -> str:
    """Return the access key of the S3 front; raises ValueError."""
    if not _ACCESS_KEY.fullmatch(text):
        raise ValueError("must be 3 to 128 letters, digits and . _ @ + = -")
    return text


def parse_secret_key(text: str) -> str:
    """Return the secret key of the S3 front; raises ValueError, which does not tell it."""
    if not _SECRET_KEY.fullmatch(text):
        raise ValueError("must be 8 to 256 printable characters without spaces")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Storing(Observing):
    """Objects at paths, beside the uploads."""

    storages: tuple[StorageSettings, ...] = setting(
        "FILELOFT_STORAGES",
        "",
        parse_storages,
        "named storages by commas: NAME, NAME=/FOLDER or NAME=s3://BUCKET/PREFIX, each with"
        " ?public=1&max_size=100M and what else the file can say",
    )
    storages_file: str | None = setting(
        "FILELOFT_STORAGES_FILE", "", maybe(str), "TOML file that declares named storages"
    )
    storage_keys: tuple[str, ...] = setting(
        "FILELOFT_STORAGE_KEYS",
        "",
        parse_secrets,
        "keys of the app servers that may use the storages' API, 32 bytes or more each, separated"
        " by commas; the first one signs tickets, each verifies them",
        secret=True,
    )
    ticket_ttl_s: int = setting(
        "FILELOFT_TICKET_TTL",
        "600",
        parse_positive_count,
        "seconds for which a ticket is good that names no other time",
    )
    ticket_max_size_bytes: int = setting(
        "FILELOFT_TICKET_MAX_SIZE",
        "10M",
        parse_size,
        "largest object in bytes of a ticket that names no other size; 0 is what the storage takes",
    )
    s3_front_access_key: str = setting(
        "FILELOFT_S3_FRONT_ACCESS_KEY",
        "",
        parse_access_key,
        "access key of S3 clients, who may use every storage as a bucket; with the secret key it"
        " opens the S3 front",
    )
    s3_front_secret_key: str = setting(
        "FILELOFT_S3_FRONT_SECRET_KEY",
        "",
        parse_secret_key,
        "their secret key, 8 characters or more",
        secret=True,
    )


def storing_contradictions(settings: Storing, base_path: str) -> Iterator[str]:
    """Yield what does not go together, each beginning with a variable."""
    wanted = bool(settings.storages) or settings.storages_file is not None
    if wanted and not settings.storage_keys:
        yield "FILELOFT_STORAGE_KEYS: must be set where there are storages"
    if settings.storage_keys and not wanted:
        yield "FILELOFT_STORAGE_KEYS: set FILELOFT_STORAGES or FILELOFT_STORAGES_FILE too"
    if wanted and base_path.split("/")[1] in {"", "v1"}:
        yield "FILELOFT_BASE_PATH: with storages, neither / nor below /v1/, where their API is"
    if bool(settings.s3_front_access_key) != bool(settings.s3_front_secret_key):
        yield "FILELOFT_S3_FRONT_ACCESS_KEY: goes together with FILELOFT_S3_FRONT_SECRET_KEY"
    elif settings.s3_front_access_key and not wanted:
        yield "FILELOFT_S3_FRONT_ACCESS_KEY: set FILELOFT_STORAGES or FILELOFT_STORAGES_FILE too"
    for name in taken_names([each.name for each in settings.storages], base_path):
        yield f"FILELOFT_STORAGES: {name} is another path of this server"


def taken_names(names: list[str], base_path: str) -> list[str]:
    """Return those of *names* that no storage can have, since something else is at that path."""
    taken = {*_TAKEN, *_OPERATIONS, base_path.split("/")[1]}
    return [name for name in names if name in taken]
