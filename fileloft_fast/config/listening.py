"""Settings of the sockets: addresses, TLS, proxies in front, worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileloft_fast.config.networks import Networks, parse_networks
from fileloft_fast.config.rows import setting, switch
from fileloft_fast.config.values import (
    BindAddress,
    TlsMode,
    maybe,
    parse_bind,
    parse_count,
    parse_notify_socket,
    parse_owner,
    parse_seconds,
    parse_socket_mode,
    parse_socket_path,
    parse_tls_mode,
    parse_workers,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where connections come from."""

    bind: tuple[BindAddress, ...] = setting(
        "FILELOFT_BIND",
        "0.0.0.0:8080",
        parse_bind,
        "addresses to listen on, separated by commas: host:port, IPv6 as [::]:8080",
    )
    unix_socket: str | None = setting(
        "FILELOFT_UNIX_SOCKET",
        "",
        maybe(parse_socket_path),
        "path of a Unix socket to listen on instead of FILELOFT_BIND",
    )
    unix_socket_mode: int | None = setting(
        "FILELOFT_UNIX_SOCKET_MODE",
        "",
        maybe(parse_socket_mode),
        "permissions of the Unix socket, octal; unset, as the umask has it",
    )
    unix_socket_owner: str | None = setting(
        "FILELOFT_UNIX_SOCKET_OWNER",
        "",
        maybe(parse_owner),
        "user:group that the Unix socket belongs to; one of the two is enough",
    )
    listen_fds: int = setting(
        "LISTEN_FDS",
        "0",
        parse_count,
        "sockets that systemd hands in (socket activation); they go before FILELOFT_BIND",
    )
    listen_pid: int = setting(
        "LISTEN_PID", "0", parse_count, "the process that LISTEN_FDS is meant for"
    )
    workers: int = setting(
        "FILELOFT_WORKERS",
        "1",
        parse_workers,
        "processes that serve, under a supervisor where there are several",
    )
    worker_timeout_s: float = setting(
        "FILELOFT_WORKER_TIMEOUT",
        "60",
        parse_seconds,
        "seconds after which a worker that does nothing any more is killed and started again;"
        " 0: never",
    )
    notify_socket: str | None = setting(
        "NOTIFY_SOCKET",
        "",
        maybe(parse_notify_socket),
        "where systemd is told that the server is ready, reloads and stops (Type=notify)",
    )
    watchdog_usec: int = setting(
        "WATCHDOG_USEC",
        "0",
        parse_count,
        "microseconds within which systemd wants to hear from the loop (WatchdogSec=)",
    )
    watchdog_pid: int = setting(
        "WATCHDOG_PID", "0", parse_count, "the process that WATCHDOG_USEC is meant for; 0 is any"
    )
    tls_cert: str | None = setting(
        "FILELOFT_TLS_CERT",
        "",
        maybe(str),
        "PEM file of the certificate and its chain: all of FILELOFT_BIND speaks TLS; read again"
        " on SIGHUP",
    )
    tls_key: str | None = setting(
        "FILELOFT_TLS_KEY", "", maybe(str), "PEM file of the certificate's key, not encrypted"
    )
    tls_mode: TlsMode = setting(  # noqa: RUF009 - a field specifier, like field() itself
        "FILELOFT_TLS_MODE",
        "tls12",
        parse_tls_mode,
        "tls12 (1.2 and newer), tls13 (1.3 alone), tls12-strong (1.2 and newer, forward-secret AEAD"
        " ciphers alone)",
    )
    tls_client_ca: str | None = setting(
        "FILELOFT_TLS_CLIENT_CA",
        "",
        maybe(str),
        "PEM file of the authorities one of which must have signed the client's certificate",
    )
    behind_proxy: bool = switch(
        "FILELOFT_BEHIND_PROXY",
        "build Location from Forwarded or X-Forwarded-Proto and -Host (trusted proxies only)",
    )
    proxy_protocol: bool = switch(
        "FILELOFT_PROXY_PROTOCOL",
        "want a PROXY header, version 1 or 2, before anything else on every connection",
    )
    trusted_proxies: Networks | None = setting(  # noqa: RUF009 - a field specifier, as above
        "FILELOFT_TRUSTED_PROXIES",
        "",
        maybe(parse_networks),
        "addresses and networks, separated by commas, and unix: only their forwarded fields and"
        " PROXY headers count; unset, everybody's",
    )


def listening_contradictions(settings: Listening) -> Iterator[str]:
    """Yield what cannot be listened with together, each beginning with a variable."""
    if settings.unix_socket is None:
        if settings.unix_socket_mode is not None:
            yield "FILELOFT_UNIX_SOCKET_MODE: needs FILELOFT_UNIX_SOCKET"
        if settings.unix_socket_owner is not None:
            yield "FILELOFT_UNIX_SOCKET_OWNER: needs FILELOFT_UNIX_SOCKET"
    if settings.trusted_proxies and not (settings.behind_proxy or settings.proxy_protocol):
        yield (
            "FILELOFT_TRUSTED_PROXIES: needs FILELOFT_BEHIND_PROXY or FILELOFT_PROXY_PROTOCOL,"
            " else nobody's fields count"
        )
    if 0 < settings.worker_timeout_s < 1:
        yield "FILELOFT_WORKER_TIMEOUT: must be 0, or 1 at least"
    yield from _tls_contradictions(settings)


def _tls_contradictions(settings: Listening) -> Iterator[str]:
    if settings.tls_cert is None:
        if settings.tls_key is not None:
            yield "FILELOFT_TLS_KEY: needs FILELOFT_TLS_CERT"
        if settings.tls_client_ca is not None:
            yield "FILELOFT_TLS_CLIENT_CA: needs FILELOFT_TLS_CERT"
        if settings.tls_mode is not TlsMode.TLS12:
            yield "FILELOFT_TLS_MODE: needs FILELOFT_TLS_CERT"
        return
    if settings.tls_key is None:
        yield "FILELOFT_TLS_KEY: must be set with FILELOFT_TLS_CERT"
    if settings.unix_socket is not None:
        yield "FILELOFT_TLS_CERT: not with FILELOFT_UNIX_SOCKET"
