"""Settings, and the one table of them: each field is a row with variable, default and meaning."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, TypeVar

from fileloft_fast.config.values import (
    LOG_LEVELS,
    BindAddress,
    SyncMode,
    maybe,
    parse_backend,
    parse_base_path,
    parse_base_url,
    parse_bind,
    parse_count,
    parse_field_names,
    parse_file_mode,
    parse_flag,
    parse_log_level,
    parse_origins,
    parse_positive_count,
    parse_positive_seconds,
    parse_seconds,
    parse_size,
    parse_socket_path,
    parse_sync,
)
from fileloft_fast.errors import ConfigError
from fileloft_fast.model import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One setting: the variable it is read from, its default as text, and what it means.

    ``also`` is another variable, read where the first is unset. An empty default means none.
    """

    variable: str
    default: str
    parse: Callable[[str], object]
    meaning: str
    also: str = ""


def _row(  # its result is a dataclass field; the annotation is the field's own type
    variable: str, default: str, parse: Callable[[str], T], meaning: str, *, also: str = ""
) -> T:
    row = Row(variable, default, parse, meaning, also)
    return field(default=parse(default), metadata={"row": row})


def _off(variable: str, meaning: str) -> bool:
    return _row(variable, "0", parse_flag, meaning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator decides. Raises ConfigError where two settings contradict."""

    bind: tuple[BindAddress, ...] = _row(
        "FILELOFT_BIND",
        "0.0.0.0:8080",
        parse_bind,
        "addresses to listen on, separated by commas: host:port, IPv6 as [::]:8080",
    )
    unix_socket: str | None = _row(
        "FILELOFT_UNIX_SOCKET",
        "",
        maybe(parse_socket_path),
        "path of a Unix socket to listen on instead of FILELOFT_BIND",
    )
    base_path: str = _row(
        "FILELOFT_BASE_PATH",
        "/files/",
        parse_base_path,
        "URL path of the uploads; answers with and without the last slash",
    )
    base_url: str | None = _row(
        "FILELOFT_BASE_URL",
        "",
        maybe(parse_base_url),
        "public URL of this server, put before the base path in Location",
    )
    behind_proxy: bool = _off(
        "FILELOFT_BEHIND_PROXY",
        "build Location from Forwarded or X-Forwarded-Proto and -Host (trusted proxies only)",
    )
    max_size_bytes: int = _row(
        "FILELOFT_MAX_SIZE", "0", parse_size, "largest upload in bytes; 0 is no limit"
    )
    lock_timeout_s: float = _row(
        "FILELOFT_LOCK_TIMEOUT",
        "20",
        parse_seconds,
        "seconds to wait for a request that holds the upload; then 423",
    )
    shutdown_timeout_s: float = _row(
        "FILELOFT_SHUTDOWN_TIMEOUT", "10", parse_seconds, "seconds to drain when told to stop"
    )
    disable_cors: bool = _off("FILELOFT_DISABLE_CORS", "send no CORS headers")
    cors_allow_origins: tuple[str, ...] = _row(
        "FILELOFT_CORS_ALLOW_ORIGIN",
        "*",
        parse_origins,
        "origins that browsers may upload from, separated by commas; * is any",
    )
    cors_allow_credentials: bool = _off(
        "FILELOFT_CORS_ALLOW_CREDENTIALS",
        "let browsers send cookies; needs origins by name, never *",
    )
    cors_allow_headers: str = _row(
        "FILELOFT_CORS_ALLOW_HEADERS",
        "",
        parse_field_names,
        "request headers to allow besides those of tus, separated by commas",
    )
    cors_expose_headers: str = _row(
        "FILELOFT_CORS_EXPOSE_HEADERS",
        "",
        parse_field_names,
        "response headers to expose besides those of tus, separated by commas",
    )
    cors_max_age_s: int = _row(
        "FILELOFT_CORS_MAX_AGE", "86400", parse_count, "seconds a browser may keep a preflight"
    )
    disable_termination: bool = _off("FILELOFT_DISABLE_TERMINATION", "refuse DELETE")
    disable_checksum: bool = _off("FILELOFT_DISABLE_CHECKSUM", "refuse Upload-Checksum")
    disable_creation: bool = _off("FILELOFT_DISABLE_CREATION", "refuse to create uploads")
    disable_creation_with_upload: bool = _off(
        "FILELOFT_DISABLE_CREATION_WITH_UPLOAD", "refuse bytes in the request that creates"
    )
    disable_defer_length: bool = _off(
        "FILELOFT_DISABLE_DEFER_LENGTH", "refuse uploads whose length comes later"
    )
    enable_download: bool = _off("FILELOFT_ENABLE_DOWNLOAD", "serve finished uploads by GET")
    enable_concatenation: bool = _off(
        "FILELOFT_ENABLE_CONCATENATION", "put partial uploads together into a final one"
    )
    enable_cleanup_concat_partials: bool = _off(
        "FILELOFT_ENABLE_CLEANUP_CONCAT_PARTIALS",
        "delete the partial uploads once the final one is there",
    )
    enable_expiration: bool = _off(
        "FILELOFT_ENABLE_EXPIRATION", "delete uploads that nobody went on with"
    )
    expiration_ttl_s: int = _row(
        "FILELOFT_EXPIRATION_TTL",
        "86400",
        parse_count,
        "seconds after the last activity until an unfinished upload expires",
    )
    expire_finished: bool = _off("FILELOFT_EXPIRE_FINISHED", "let finished uploads expire too")
    sweep_interval_s: float = _row(
        "FILELOFT_SWEEP_INTERVAL",
        "60",
        parse_positive_seconds,
        "seconds between two looks for expired uploads",
    )
    backend: str = _row("FILELOFT_BACKEND", "fs", parse_backend, "where uploads are kept: fs")
    data_dir: str = _row("FILELOFT_DATA_DIR", "/var/lib/fileloft", str, "directory of the uploads")
    sync: SyncMode = _row(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_SYNC",
        "complete",
        parse_sync,
        "what survives a power cut: complete (finished uploads), chunk (every answer) or none",
    )
    min_free_bytes: int = _row(
        "FILELOFT_MIN_FREE",
        "64M",
        parse_size,
        "free disk space in bytes (K, M, G) below which no upload is created",
    )
    file_mode: int = _row(
        "FILELOFT_FILE_MODE", "0600", parse_file_mode, "permissions of new files, octal"
    )
    max_connections: int = _row(
        "FILELOFT_MAX_CONNECTIONS",
        "10000",
        parse_positive_count,
        "connections at once; more get 503",
    )
    head_timeout_s: float = _row(
        "FILELOFT_HEAD_TIMEOUT",
        "15",
        parse_positive_seconds,
        "seconds in which the head of a request must arrive",
    )
    idle_timeout_s: float = _row(
        "FILELOFT_IDLE_TIMEOUT",
        "75",
        parse_positive_seconds,
        "seconds that a connection may stay open between requests",
    )
    body_timeout_s: float = _row(
        "FILELOFT_BODY_TIMEOUT",
        "60",
        parse_positive_seconds,
        "seconds that a body may send nothing; also the window of FILELOFT_MIN_RATE",
    )
    min_rate_bytes_per_s: int = _row(
        "FILELOFT_MIN_RATE",
        "64",
        parse_size,
        "bytes a second below which a body is cut off; 0 is no minimum",
    )
    log_level: str = _row(
        "FILELOFT_LOG",
        "info",
        parse_log_level,
        f"log level: {', '.join(LOG_LEVELS)}",
        also="RUST_LOG",
    )

    def __post_init__(self) -> None:
        if self.cors_enabled and self.cors_allow_credentials and "*" in self.cors_allow_origins:
            raise ConfigError(
                "FILELOFT_CORS_ALLOW_CREDENTIALS: needs FILELOFT_CORS_ALLOW_ORIGIN with origins"
                " by name, never *"
            )
        if self.enable_expiration and self.expiration_ttl_s == 0:
            raise ConfigError(
                "FILELOFT_EXPIRATION_TTL: must be at least 1 with FILELOFT_ENABLE_EXPIRATION"
            )

    @property
    def cors_enabled(self) -> bool:
        """Whether browsers of other origins get CORS headers."""
        return not self.disable_cors

    def capabilities(self) -> frozenset[Capability]:
        """Return what the switches leave on; all that begins with a POST needs creation."""
        offered = {
            Capability.CREATION: not self.disable_creation,
            Capability.CREATION_WITH_UPLOAD: not (
                self.disable_creation or self.disable_creation_with_upload
            ),
            Capability.CREATION_DEFER_LENGTH: not (
                self.disable_creation or self.disable_defer_length
            ),
            Capability.EXPIRATION: self.enable_expiration,
            Capability.CHECKSUM: not self.disable_checksum,
            Capability.CHECKSUM_TRAILER: not self.disable_checksum,
            Capability.TERMINATION: not self.disable_termination,
            Capability.CONCATENATION: self.enable_concatenation and not self.disable_creation,
            Capability.DOWNLOAD: self.enable_download,
        }
        return frozenset(capability for capability, on in offered.items() if on)


ROWS: Final[Mapping[str, Row]] = {made.name: made.metadata["row"] for made in fields(Settings)}
"""The table, by the name of the field; in the order of the fields."""
