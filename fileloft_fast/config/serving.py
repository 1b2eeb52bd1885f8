"""Settings of the HTTP side: limits, patience, and which parts of tus are offered."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.listening import Listening
from fileloft_fast.config.rows import setting, switch
from fileloft_fast.config.values import (
    maybe,
    parse_base_path,
    parse_base_url,
    parse_count,
    parse_field_names,
    parse_origins,
    parse_positive_count,
    parse_positive_seconds,
    parse_seconds,
    parse_size,
)
from fileloft_fast.model import Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving(Listening):
    """How requests are taken and answered."""

    base_path: str = setting(
        "FILELOFT_BASE_PATH",
        "/files/",
        parse_base_path,
        "URL path of the uploads; answers with and without the last slash",
    )
    base_url: str | None = setting(
        "FILELOFT_BASE_URL",
        "",
        maybe(parse_base_url),
        "public URL of this server, put before the base path in Location",
    )
    max_size_bytes: int = setting(
        "FILELOFT_MAX_SIZE", "0", parse_size, "largest upload in bytes; 0 is no limit"
    )
    lock_timeout_s: float = setting(
        "FILELOFT_LOCK_TIMEOUT",
        "20",
        parse_seconds,
        "seconds to wait for a request that holds the upload; then 423",
    )
    shutdown_timeout_s: float = setting(
        "FILELOFT_SHUTDOWN_TIMEOUT", "10", parse_seconds, "seconds to drain when told to stop"
    )
    disable_cors: bool = switch("FILELOFT_DISABLE_CORS", "send no CORS headers")
    cors_allow_origins: tuple[str, ...] = setting(
        "FILELOFT_CORS_ALLOW_ORIGIN",
        "*",
        parse_origins,
        "origins that browsers may upload from, separated by commas; * is any",
    )
    cors_allow_credentials: bool = switch(
        "FILELOFT_CORS_ALLOW_CREDENTIALS",
        "let browsers send cookies; needs origins by name, never *",
    )
    cors_allow_headers: str = setting(
        "FILELOFT_CORS_ALLOW_HEADERS",
        "",
        parse_field_names,
        "request headers to allow besides those of the protocols, separated by commas",
    )
    cors_expose_headers: str = setting(
        "FILELOFT_CORS_EXPOSE_HEADERS",
        "",
        parse_field_names,
        "response headers to expose besides those of the protocols, separated by commas",
    )
    cors_max_age_s: int = setting(
        "FILELOFT_CORS_MAX_AGE", "86400", parse_count, "seconds a browser may keep a preflight"
    )
    disable_termination: bool = switch("FILELOFT_DISABLE_TERMINATION", "refuse DELETE")
    disable_checksum: bool = switch("FILELOFT_DISABLE_CHECKSUM", "refuse Upload-Checksum")
    disable_creation: bool = switch("FILELOFT_DISABLE_CREATION", "refuse to create uploads")
    disable_creation_with_upload: bool = switch(
        "FILELOFT_DISABLE_CREATION_WITH_UPLOAD", "refuse bytes in the request that creates"
    )
    disable_defer_length: bool = switch(
        "FILELOFT_DISABLE_DEFER_LENGTH", "refuse uploads whose length comes later"
    )
    enable_download: bool = switch("FILELOFT_ENABLE_DOWNLOAD", "serve finished uploads by GET")
    enable_ui: bool = switch(
        "FILELOFT_ENABLE_UI", "serve a page at /ui/ by which people upload in a browser"
    )
    enable_concatenation: bool = switch(
        "FILELOFT_ENABLE_CONCATENATION", "put partial uploads together into a final one"
    )
    enable_cleanup_concat_partials: bool = switch(
        "FILELOFT_ENABLE_CLEANUP_CONCAT_PARTIALS",
        "delete the partial uploads once the final one is there",
    )
    enable_expiration: bool = switch(
        "FILELOFT_ENABLE_EXPIRATION", "delete uploads that nobody went on with"
    )
    expiration_ttl_s: int = setting(
        "FILELOFT_EXPIRATION_TTL",
        "86400",
        parse_count,
        "seconds after the last activity until an unfinished upload expires",
    )
    expire_finished: bool = switch("FILELOFT_EXPIRE_FINISHED", "let finished uploads expire too")
    sweep_interval_s: float = setting(
        "FILELOFT_SWEEP_INTERVAL",
        "60",
        parse_positive_seconds,
        "seconds between two looks for expired uploads",
    )
    max_connections: int = setting(
        "FILELOFT_MAX_CONNECTIONS",
        "10000",
        parse_positive_count,
        "connections at once; more get 503",
    )
    head_timeout_s: float = setting(
        "FILELOFT_HEAD_TIMEOUT",
        "15",
        parse_positive_seconds,
        "seconds in which the head of a request must arrive",
    )
    idle_timeout_s: float = setting(
        "FILELOFT_IDLE_TIMEOUT",
        "75",
        parse_positive_seconds,
        "seconds that a connection may stay open between requests",
    )
    body_timeout_s: float = setting(
        "FILELOFT_BODY_TIMEOUT",
        "60",
        parse_positive_seconds,
        "seconds that a body may send nothing; also the window of FILELOFT_MIN_RATE",
    )
    min_rate_bytes_per_s: int = setting(
        "FILELOFT_MIN_RATE",
        "64",
        parse_size,
        "bytes a second below which a body is cut off; 0 is no minimum",
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
