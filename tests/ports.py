"""Ports for programs that cannot be told to listen where the kernel chooses."""

from __future__ import annotations

import random
import socket
from typing import Final

_DICE: Final = random.SystemRandom()  # other processes choose as well, and none as this one


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, outside the kernel's own range.

    One of that range may be a connection's by the time that somebody listens on it.
    """
    while True:
        port = _DICE.randrange(10_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
