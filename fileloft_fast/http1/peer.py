"""Who is at the other end of a connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.model import NOBODY, Peer

if TYPE_CHECKING:
    import asyncio

    from fileloft_fast.config import Networks

_SHORT_NAMES: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_escape_special: Final = re.compile(r'([,+"\\<>;]|^[ #]| $)').sub


def peer_of(
    transport: asyncio.BaseTransport, trusted: Networks | None = None, told: str | None = None
) -> Peer:
    """Return who is at the other end; NOBODY of whom nothing is known, as on a Unix socket.

    *trusted* are the proxies that are believed, None for everybody. *told* is the client's address
    where a PROXY header told it.
    """
    name = transport.get_extra_info("peername")
    host, port = name[:2] if isinstance(name, tuple) else ("", 0)
    if not host and told is None and trusted is None:
        return NOBODY
    return Peer(
        told or (address_of(host, port) if host else ""),
        trusted is None or trusted.covers(host),
        subject_of(transport.get_extra_info("peercert")),
        told is not None,
    )


def address_of(host: str, port: int) -> str:
    """Return host and port as one text, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def subject_of(certificate: dict[str, Any] | None) -> str:
    """Return the subject of a verified certificate as RFC 4514 writes it: the last part first."""
    if not certificate:
        return ""
    parts = [
        "+".join(
            f"{_SHORT_NAMES.get(kind, kind)}={_escape_special(_with_backslash, value)}"
            for kind, value in part
        )
        for part in reversed(certificate.get("subject", ()))
    ]
    return ",".join(parts)


def _with_backslash(matched: re.Match[str]) -> str:
    return f"\\{matched[1]}"
