"""Settings, and the one table of them: each field is a row with variable, default and meaning."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.config.admission import admission_contradictions
from fileloft_fast.config.listening import listening_contradictions
from fileloft_fast.config.resuming import resuming_contradictions
from fileloft_fast.config.rows import Row, setting, switch
from fileloft_fast.config.storing import Storing, storing_contradictions
from fileloft_fast.config.values import (
    AckMode,
    LockMode,
    SyncMode,
    maybe,
    parse_ack,
    parse_backend,
    parse_emulator,
    parse_endpoint,
    parse_file_mode,
    parse_flag,
    parse_level,
    parse_lock,
    parse_name,
    parse_part_size,
    parse_positive_count,
    parse_positive_seconds,
    parse_prefix,
    parse_redis_url,
    parse_seconds,
    parse_signed_seconds,
    parse_size,
    parse_sync,
)
from fileloft_fast.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Storing):
    """Everything an operator decides. Raises ConfigError where two settings contradict."""

    backend: str = setting(
        "FILELOFT_BACKEND",
        "fs",
        parse_backend,
        "where uploads are kept: fs, s3, gcs or azure; unset, the bucket that is set says it",
    )
    data_dir: str = setting(
        "FILELOFT_DATA_DIR",
        "/var/lib/fileloft",
        str,
        "directory of the uploads; with an object store, of their spool",
    )
    sync: SyncMode = setting(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_SYNC",
        "complete",
        parse_sync,
        "what survives a power cut: complete (finished uploads), chunk (every answer) or none",
    )
    min_free_bytes: int = setting(
        "FILELOFT_MIN_FREE",
        "64M",
        parse_size,
        "free disk space in bytes (K, M, G) below which no upload is created",
    )
    file_mode: int = setting(
        "FILELOFT_FILE_MODE", "0600", parse_file_mode, "permissions of new files, octal"
    )
    s3_bucket: str | None = setting("FILELOFT_S3_BUCKET", "", maybe(parse_name), "S3 bucket")
    s3_prefix: str = setting(
        "FILELOFT_S3_PREFIX", "", parse_prefix, "what every key begins with, such as uploads/"
    )
    s3_endpoint: str | None = setting(
        "FILELOFT_S3_ENDPOINT",
        "",
        maybe(parse_endpoint),
        "URL of an S3-compatible service; unset, that of AWS",
    )
    s3_region: str | None = setting(
        "FILELOFT_S3_REGION",
        "",
        maybe(parse_name),
        "region to sign for; unset, as the AWS configuration says",
        also="AWS_REGION",
    )
    s3_force_path_style: bool = switch(
        "FILELOFT_S3_FORCE_PATH_STYLE", "address the bucket in the path, as MinIO often needs"
    )
    s3_checksum: bool = setting(
        "FILELOFT_S3_CHECKSUM",
        "1",
        parse_flag,
        "send a CRC-32C with every part, for the service to check; 0 for one that takes none",
    )
    gcs_bucket: str | None = setting("FILELOFT_GCS_BUCKET", "", maybe(parse_name), "GCS bucket")
    gcs_prefix: str = setting(
        "FILELOFT_GCS_PREFIX", "", parse_prefix, "what every name begins with, such as uploads/"
    )
    gcs_endpoint: str | None = setting(
        "FILELOFT_GCS_ENDPOINT",
        "",
        maybe(parse_emulator),
        "URL of another service than Google's",
    )
    gcs_emulator: str | None = setting(
        "STORAGE_EMULATOR_HOST",
        "",
        maybe(parse_emulator),
        "emulator of GCS, used without credentials where FILELOFT_GCS_ENDPOINT is unset",
    )
    azure_container: str | None = setting(
        "FILELOFT_AZURE_CONTAINER", "", maybe(parse_name), "Azure Blob Storage container"
    )
    azure_prefix: str = setting(
        "FILELOFT_AZURE_PREFIX", "", parse_prefix, "what every name begins with, such as uploads/"
    )
    azure_connection_string: str | None = setting(
        "FILELOFT_AZURE_CONNECTION_STRING",
        "",
        maybe(str),
        "connection string of the storage account; goes before the account",
        also="AZURE_STORAGE_CONNECTION_STRING",
        secret=True,
    )
    azure_account: str | None = setting(
        "FILELOFT_AZURE_ACCOUNT",
        "",
        maybe(parse_name),
        "name of the storage account, for Azure's default credentials",
        also="AZURE_STORAGE_ACCOUNT",
    )
    azure_endpoint: str | None = setting(
        "FILELOFT_AZURE_ENDPOINT",
        "",
        maybe(parse_endpoint),
        "URL of the blob service; unset, that of the account",
    )
    ack: AckMode = setting(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_ACK",
        "finish",
        parse_ack,
        "an answer waits: finish (the last one, until the object is stored), spool (for the disk"
        " alone; shipped later) or chunk (each, until the store has every byte)",
    )
    part_size_bytes: int = setting(
        "FILELOFT_PART_SIZE",
        "16M",
        parse_part_size,
        "bytes of a part on its way to the object store; grows where an upload needs it",
    )
    spool_max_bytes: int = setting(
        "FILELOFT_SPOOL_MAX",
        "0",
        parse_size,
        "bytes that may wait in the spool before clients are read more slowly; 0 is until"
        " FILELOFT_MIN_FREE",
    )
    flush_rate_bytes_per_s: int = setting(
        "FILELOFT_FLUSH_RATE",
        "0",
        parse_size,
        "bytes a second to the object store at most; 0 is no limit",
    )
    flush_concurrency: int = setting(
        "FILELOFT_FLUSH_CONCURRENCY",
        "4",
        parse_positive_count,
        "parts on their way to the object store at once",
    )
    flush_timeout_s: float = setting(
        "FILELOFT_FLUSH_TIMEOUT",
        "60",
        parse_positive_seconds,
        "seconds an answer waits for the object store; then 503, and the upload can be resumed",
    )
    flush_zstd_level: int = setting(
        "FILELOFT_FLUSH_ZSTD",
        "0",
        parse_level,
        "zstd level, 1 to 19, by which objects are compressed (Content-Encoding: zstd); 0 is off",
    )
    download_redirect: bool = switch(
        "FILELOFT_DOWNLOAD_REDIRECT", "answer GET by a redirect to a signed URL of the object store"
    )
    redirect_ttl_s: int = setting(
        "FILELOFT_REDIRECT_TTL",
        "3600",
        parse_signed_seconds,
        "seconds for which a signed URL can be used, a week at most",
    )
    lock: LockMode = setting(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_LOCK",
        "local",
        parse_lock,
        "how replicas share an upload: local (not at all), redis, or store (the object store)",
    )
    redis_url: str = setting(
        "FILELOFT_REDIS_URL",
        "redis://127.0.0.1:6379/0",
        parse_redis_url,
        "the Redis of FILELOFT_LOCK=redis",
        secret=True,
    )
    lock_ttl_s: float = setting(
        "FILELOFT_LOCK_TTL",
        "10",
        parse_positive_seconds,
        "seconds after which the lock of a replica that died is free",
    )
    orphan_age_s: float = setting(
        "FILELOFT_ORPHAN_AGE",
        "3600",
        parse_seconds,
        "seconds that a multipart upload which belongs to nothing is left alone",
    )
    remote_sweep_interval_s: float = setting(
        "FILELOFT_REMOTE_SWEEP_INTERVAL",
        "3600",
        parse_positive_seconds,
        "seconds between two looks for what was left behind in the object store",
    )

    def __post_init__(self) -> None:
        for contradiction in _contradictions(self):
            raise ConfigError(contradiction)

    @property
    def remote(self) -> bool:
        """Whether uploads are kept in an object store."""
        return self.backend != "fs"

    @property
    def sharded(self) -> bool:
        """Whether each of several workers has a spool of its own, and the uploads in it."""
        return self.workers > 1 and self.remote and self.ack is not AckMode.CHUNK

    @property
    def prefix(self) -> str:
        """What the keys of the object store in use begin with."""
        prefixes = {"s3": self.s3_prefix, "gcs": self.gcs_prefix, "azure": self.azure_prefix}
        return prefixes.get(self.backend, "")


ROWS: Final[Mapping[str, Row]] = {made.name: made.metadata["row"] for made in fields(Settings)}
"""The table, by the name of the field; in the order of the fields."""

BUCKETS: Final[Mapping[str, str]] = {
    ROWS["s3_bucket"].variable: "s3",
    ROWS["gcs_bucket"].variable: "gcs",
    ROWS["azure_container"].variable: "azure",
}
"""Which backend a bucket asks for."""


_OPERATIONS: Final = frozenset({"metrics", "healthz", "readyz"})

_LEAST_LOCK_TTL_S: Final[Mapping[LockMode, int]] = {
    LockMode.LOCAL: 0,
    LockMode.REDIS: 1,
    LockMode.STORE: 6,  # three renewals, and Google takes one write a second to an object
}


def _contradictions(settings: Settings) -> Iterator[str]:
    """Yield what cannot be served together, each beginning with a variable."""
    yield from listening_contradictions(settings)
    yield from _serving_contradictions(settings)
    yield from _page_contradictions(settings)
    yield from resuming_contradictions(settings)
    yield from admission_contradictions(settings)
    yield from storing_contradictions(settings, settings.base_path)
    yield from _worker_contradictions(settings)
    least_s = _LEAST_LOCK_TTL_S[settings.lock]
    if settings.lock_ttl_s < least_s:
        yield f"FILELOFT_LOCK_TTL: must be at least {least_s} with FILELOFT_LOCK={settings.lock}"
    yield from _object_contradictions(settings) if settings.remote else _disk_demands(settings)


def _worker_contradictions(settings: Settings) -> Iterator[str]:
    if settings.sharded:
        yield from _shard_contradictions(settings)
        return
    local = settings.lock is LockMode.LOCAL
    if settings.workers > 1 and settings.remote and local:
        yield (
            "FILELOFT_WORKERS: with FILELOFT_ACK=chunk, several workers need FILELOFT_LOCK=redis or"
            " store"
        )
    elif settings.workers > 1 and not settings.remote and not local:
        yield "FILELOFT_WORKERS: on a local disk, FILELOFT_LOCK must be local with several workers"


def _shard_contradictions(settings: Settings) -> Iterator[str]:
    """Yield what does not work where a request may have to go to the worker of its upload."""
    so = f"with several workers and FILELOFT_ACK={settings.ack}"
    if settings.tls_cert is not None:
        yield f"FILELOFT_TLS_CERT: not {so}, which hand connections over: let a proxy end TLS"
    if settings.hooks_wanted:
        yield f"FILELOFT_HOOKS_ENABLED_EVENTS: no hooks {so}"
    if settings.quota_bytes or settings.quota_uploads:
        yield f"FILELOFT_QUOTA_BYTES, FILELOFT_QUOTA_UPLOADS: not {so}, of which none sees all"
    if settings.enable_cleanup_concat_partials:
        yield f"FILELOFT_ENABLE_CLEANUP_CONCAT_PARTIALS: not {so}: partial uploads are others'"
    if settings.enable_concatenation and settings.ack is AckMode.SPOOL:
        yield f"FILELOFT_ENABLE_CONCATENATION: not {so}: partial uploads are in several spools"


def _serving_contradictions(settings: Settings) -> Iterator[str]:
    if settings.unix_socket is not None:
        folder = Path(settings.unix_socket).absolute().parent
        if folder == Path(settings.data_dir).absolute():  # each wants the lock of its folder
            yield "FILELOFT_UNIX_SOCKET: must not be in FILELOFT_DATA_DIR"
    any_origin = settings.cors_enabled and "*" in settings.cors_allow_origins
    if any_origin and settings.cors_allow_credentials:
        yield (
            "FILELOFT_CORS_ALLOW_CREDENTIALS: needs FILELOFT_CORS_ALLOW_ORIGIN with origins"
            " by name, never *"
        )
    if settings.enable_metrics and settings.metrics_bind:
        yield "FILELOFT_ENABLE_METRICS: not with FILELOFT_METRICS_BIND, which serves them elsewhere"
    if settings.base_path.strip("/") in _OPERATIONS:
        yield f"FILELOFT_BASE_PATH: {settings.base_path.rstrip('/')} is what operators ask"
    if settings.enable_expiration and settings.expiration_ttl_s == 0:
        yield "FILELOFT_EXPIRATION_TTL: must be at least 1 with FILELOFT_ENABLE_EXPIRATION"
    if (settings.storages or settings.storages_file) and settings.expiration_ttl_s == 0:
        yield "FILELOFT_EXPIRATION_TTL: must be at least 1 with storages"


def _page_contradictions(settings: Settings) -> Iterator[str]:
    place = settings.base_path.split("/")[1]
    if settings.enable_ui and place in {"", "ui"}:
        yield "FILELOFT_BASE_PATH: must not be / or below /ui/ with FILELOFT_ENABLE_UI"
    if settings.status_keys and place == "ui":
        yield "FILELOFT_BASE_PATH: must not be below /ui/ with FILELOFT_STATUS_KEY"
    secrets = {*settings.jwt_secrets, *settings.grant_secrets, *settings.storage_keys}
    if secrets & set(settings.status_keys):
        yield "FILELOFT_STATUS_KEY: must be no other secret as well, since it travels as it is"


def _object_contradictions(settings: Settings) -> Iterator[str]:
    buckets = {
        "s3": settings.s3_bucket,
        "gcs": settings.gcs_bucket,
        "azure": settings.azure_container,
    }
    for variable, backend in BUCKETS.items():
        if backend == settings.backend and not buckets[backend]:
            yield f"{variable}: must be set with FILELOFT_BACKEND={backend}"
    named = settings.azure_connection_string or settings.azure_account or settings.azure_endpoint
    if settings.backend == "azure" and not named:
        yield "FILELOFT_AZURE_ACCOUNT: set it, or FILELOFT_AZURE_CONNECTION_STRING"
    if settings.flush_zstd_level and settings.ack is AckMode.CHUNK:
        yield "FILELOFT_FLUSH_ZSTD: not with FILELOFT_ACK=chunk"


def _disk_demands(settings: Settings) -> Iterator[str]:
    """Yield what only an object store can give, asked of a local disk."""
    if settings.ack is AckMode.CHUNK:
        yield "FILELOFT_ACK: chunk needs an object store; a disk has FILELOFT_SYNC=chunk"
    if settings.lock is LockMode.STORE:
        yield "FILELOFT_LOCK: store needs an object store"
    if settings.flush_zstd_level:
        yield "FILELOFT_FLUSH_ZSTD: needs an object store"
    if settings.download_redirect:
        yield "FILELOFT_DOWNLOAD_REDIRECT: needs an object store"
