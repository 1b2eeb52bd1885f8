"""Settings of the sockets: addresses, TLS, proxies in front, worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileloft_fast.config.rows import setting, switch
from fileloft_fast.config.values import (
    BindAddress,
    maybe,
    parse_bind,
    parse_count,
    parse_owner,
    parse_socket_mode,
    parse_socket_path,
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
    behind_proxy: bool = switch(
        "FILELOFT_BEHIND_PROXY",
        "build Location from Forwarded or X-Forwarded-Proto and -Host (trusted proxies only)",
    )


def listening_contradictions(settings: Listening) -> Iterator[str]:
    """Yield what cannot be listened with together, each beginning with a variable."""
    if settings.unix_socket is None:
        if settings.unix_socket_mode is not None:
            yield "FILELOFT_UNIX_SOCKET_MODE: needs FILELOFT_UNIX_SOCKET"
        if settings.unix_socket_owner is not None:
            yield "FILELOFT_UNIX_SOCKET_OWNER: needs FILELOFT_UNIX_SOCKET"
