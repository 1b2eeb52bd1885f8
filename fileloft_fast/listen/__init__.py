"""① Sockets, signals and drain: where connections come in, and how the server stops."""

from __future__ import annotations

from fileloft_fast.listen.notify import Notifier
from fileloft_fast.listen.server import Server
from fileloft_fast.listen.sockets import close_sockets, open_desk_sockets, open_sockets
from fileloft_fast.listen.tls import tls_context

__all__ = [
    "Notifier",
    "Server",
    "close_sockets",
    "open_desk_sockets",
    "open_sockets",
    "tls_context",
]
