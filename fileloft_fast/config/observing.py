"""Settings of what an operator sees: log, metrics."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.access_values import parse_keys
from fileloft_fast.config.admission import Admission
from fileloft_fast.config.rows import setting, switch
from fileloft_fast.config.values import (
    LOG_LEVELS,
    BindAddress,
    LogFormat,
    maybe,
    parse_bind,
    parse_log_format,
    parse_log_level,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observing(Admission):
    """What is told of the running server."""

    log_level: str = setting(
        "FILELOFT_LOG",
        "info",
        parse_log_level,
        f"log level: {', '.join(LOG_LEVELS)}",
        also="RUST_LOG",
    )
    log_format: LogFormat = setting(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_LOG_FORMAT",
        "plain",
        parse_log_format,
        "how lines of the log are written: plain (key=value) or json",
    )
    access_log: bool = switch(
        "FILELOFT_ACCESS_LOG", "a line in the log for each request, without its query"
    )
    enable_metrics: bool = switch(
        "FILELOFT_ENABLE_METRICS", "serve /metrics beside the uploads, to whoever asks"
    )
    metrics_bind: tuple[BindAddress, ...] | None = setting(
        "FILELOFT_METRICS_BIND",
        "",
        maybe(parse_bind),
        "addresses of their own for /metrics, /healthz and /readyz: host:port, by commas",
    )
    status_keys: tuple[str, ...] = setting(
        "FILELOFT_STATUS_KEY",
        "",
        parse_keys,
        "keys that open the status page at /ui/status, 32 visible ASCII characters or more each,"
        " separated by commas; unset, there is no such page",
        secret=True,
    )
