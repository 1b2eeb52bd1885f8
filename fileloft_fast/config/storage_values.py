"""A named storage as it is declared: in a comma list of URLs, or in a TOML file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from fileloft_fast.config.values import parse_base_url, parse_flag, parse_prefix, parse_size
from fileloft_fast.errors import ConfigError

# What a bucket may be named, so that each storage can be one (S3's rules, without dots).
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_FIELD_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")


class StorageBackend(StrEnum):
    """Where the objects of a storage lie."""

    FS = "fs"
    S3 = "s3"


class PathRules(StrEnum):
    """What a path may hold: letters, digits and slashes, or ``.``, ``-`` and ``_`` besides."""

    STRICT = "strict"
    RELAXED = "relaxed"


class _Place(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken as it is declared."""

    backend: StorageBackend = StorageBackend.FS
    folder: str = ""
    public: bool = False
    public_host: str = ""
    paths: PathRules = PathRules.STRICT
    cache_control: str = "no-cache"
    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool = False
    access_key: str = ""
    secret_key: str = ""


class StorageSettings(_Place, frozen=True, kw_only=True):
    """One named storage.

    ``folder`` is where the objects of an ``fs`` storage lie, and where those of another are staged;
    "" is ``storages/NAME`` in the data directory. ``public_host`` is a URL without a slash at its
    end, before ``/NAME/PATH`` in public URLs; "" is this server's. ``max_size_bytes`` bounds every
    object, 0 for no bound. ``cache_control`` is sent with public objects.
    """

    name: str
    max_size_bytes: int = 0

    def __str__(self) -> str:
        place = f"s3://{self.bucket}/{self.prefix}" if self.bucket else self.folder
        return f"{self.name}={place}"


class _Declared(_Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the TOML file."""

    max_size: str | Annotated[int, msgspec.Meta(ge=0)] = 0


class _File(msgspec.Struct, forbid_unknown_fields=True):
    storages: dict[str, _Declared]


_SWITCHES: Final = frozenset({"public", "path_style"})
_SECRETS: Final = frozenset({"access_key", "secret_key"})


def parse_storages(text: str) -> tuple[StorageSettings, ...]:
    """Parse a comma list: ``NAME``, ``NAME=/FOLDER`` or ``NAME=s3://BUCKET/PREFIX``.

    After a ``?`` come the other fields of the TOML file, as in a URL.
    """
    return _distinct(_parse_one(word.strip()) for word in text.split(",") if word.strip())


def read_storages(path: str) -> tuple[StorageSettings, ...]:
    """Return the storages that the TOML file at *path* declares.

    Raises ConfigError, whose message names the file. Blocks.
    """
    try:
        declared = msgspec.toml.decode(Path(path).read_bytes(), type=_File)
        return _distinct(_settled(name, each) for name, each in declared.storages.items())
    except OSError as error:
        raise ConfigError(f"FILELOFT_STORAGES_FILE: {path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f"FILELOFT_STORAGES_FILE: {path}: {error}") from error


def _distinct(storages: Iterable[StorageSettings]) -> tuple[StorageSettings, ...]:
    found = tuple(storages)
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is declared twice")
    return found


def _parse_one(word: str) -> StorageSettings:
    name, _, place = word.partition("=")
    url = urlsplit(place)
    fields: dict[str, object] = {}
    for key, value in parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)):
        if key in _SECRETS:
            raise ValueError(f"{key} belongs into FILELOFT_STORAGES_FILE")
        fields[key] = parse_flag(value) if key in _SWITCHES else value
    match url.scheme:
        case "" | "file":
            fields |= {"backend": "fs", "folder": unquote(url.path)}
        case "s3":
            prefix = unquote(url.path).removeprefix("/")
            fields |= {"backend": "s3", "bucket": url.netloc, "prefix": prefix}
        case _:
            raise ValueError("a storage is a folder or s3://BUCKET/PREFIX")
    try:
        return _settled(name, msgspec.convert(fields, _Declared))
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from error


def _settled(name: str, declared: _Declared) -> StorageSettings:
    """Return the value of one declaration. Raises ValueError for what cannot be."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} must be 3 to 63 lower-case letters, digits and dashes")
    size = declared.max_size
    try:
        max_size_bytes = parse_size(size) if isinstance(size, str) else size
        public_host = _parse_host(declared.public_host)
        prefix = parse_prefix(declared.prefix)
        endpoint = parse_base_url(declared.endpoint) if declared.endpoint else ""
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if (declared.backend is StorageBackend.S3) != bool(declared.bucket):
        raise ValueError(f"{name}: an s3 storage has a bucket, another one has none")
    if bool(declared.access_key) != bool(declared.secret_key):
        raise ValueError(f"{name}: access_key and secret_key go together")
    if not _FIELD_VALUE.fullmatch(declared.cache_control):
        raise ValueError(f"{name}: cache_control must be a value of that field")
    taken = {field: getattr(declared, field) for field in _Place.__struct_fields__}
    settled = {"public_host": public_host, "prefix": prefix, "endpoint": endpoint}
    return StorageSettings(name=name, max_size_bytes=max_size_bytes, **(taken | settled))


def _parse_host(text: str) -> str:
    """Return a URL; a host alone means https, as in a Serverpod project."""
    if not text:
        return ""
    return parse_base_url(text if "://" in text else f"https://{text}")
