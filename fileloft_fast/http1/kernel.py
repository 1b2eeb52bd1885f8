"""What the kernel knows of a connection before the loop has heard of it."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def is_hung_up(transport: asyncio.Transport) -> bool:
    """Return whether the peer has closed or reset the connection."""
    return _polls(transport, select.POLLRDHUP)


def is_readable(transport: asyncio.Transport) -> bool:
    """Return whether there is anything to read, or the end of it."""
    return _polls(transport, select.POLLIN)


def _polls(transport: asyncio.Transport, events: int) -> bool:
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), events)
    return bool(poll.poll(0))
