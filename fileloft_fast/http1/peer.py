"""Who is at the other end of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.model import NOBODY, Peer

if TYPE_CHECKING:
    import asyncio


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Return who is at the other end; NOBODY of whom nothing is known, as on a Unix socket."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return NOBODY
    host, port = name[:2]
    return Peer(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
