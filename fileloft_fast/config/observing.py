"""Settings of what an operator sees: log, metrics."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.admission import Admission
from fileloft_fast.config.rows import setting
from fileloft_fast.config.values import LOG_LEVELS, parse_log_level


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
