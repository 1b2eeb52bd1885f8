"""Settings of the sockets: addresses, TLS, proxies in front, worker processes."""

from __future__ import annotations

from dataclasses import dataclass

from fileloft_fast.config.rows import setting, switch
from fileloft_fast.config.values import BindAddress, maybe, parse_bind, parse_socket_path


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
    behind_proxy: bool = switch(
        "FILELOFT_BEHIND_PROXY",
        "build Location from Forwarded or X-Forwarded-Proto and -Host (trusted proxies only)",
    )
