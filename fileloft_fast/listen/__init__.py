"""① Sockets, signals and drain: where connections come in, and how the server stops."""

from __future__ import annotations

from fileloft_fast.listen.server import Server

__all__ = ["Server"]
