"""When the offset of an upload that somebody is sending bytes to can be told.

Not while bytes that have arrived are about to be stored. Bytes that flow are waited for until none
has come for a moment; a client that is gone, until its request is over. What the kernels still hold
of a connection that was given up may look like a client that goes on, until its end arrives; but
that is a bounded number of bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fileloft_fast.model import Body
    from fileloft_fast.uploads.locks import Hold

_WAIT_S: Final = 0.5
"""So long a client that is gone, or one that waits for room, may take."""

_QUIET_S: Final = 0.008
_FLOW_S: Final = 5.0
_QUEUED_BYTES: Final = 16 * 1024 * 1024
"""More than kernels queue of a connection: whoever has sent that since is there."""


async def is_settled(hold: Hold, body: Body, over: asyncio.Event) -> bool:
    """Wait until *hold* is over, or quiet, or in use beyond doubt; False where it must be ended.

    That is a client that is gone, and one that waits for room: when there is some, it would store
    what waits until then.
    """
    loop = asyncio.get_running_loop()
    first = seen = _arrived(hold, body)
    deadline, patience = loop.time() + _WAIT_S, loop.time() + _FLOW_S
    while seen - first <= _QUEUED_BYTES and loop.time() < patience:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                if await _is_over_or_quiet(hold, body, over):
                    return True
        arrived = _arrived(hold, body)
        if arrived != seen and not body.abandoned:
            seen, deadline = arrived, loop.time() + _WAIT_S
        elif loop.time() >= deadline:
            if hold.writing or body.abandoned:
                return False
            if not body.pending:
                return True
            deadline = loop.time() + _WAIT_S  # a machine that stalled let it pass: nobody has read
    return True


async def _is_over_or_quiet(hold: Hold, body: Body, over: asyncio.Event) -> bool:
    before = _arrived(hold, body)
    if hold.transfer is not None:
        await hold.transfer.progress()
    if body.abandoned:
        return await over.wait()
    try:
        async with asyncio.timeout(_QUIET_S):
            return await over.wait()
    except TimeoutError:
        # A busy machine lets the moment pass before anybody has looked at the socket.
        quiet = _arrived(hold, body) == before and not hold.writing and not body.pending
        return quiet and not body.abandoned  # which it may be since just now


def _arrived(hold: Hold, body: Body) -> int:
    return body.received if hold.transfer is None else hold.transfer.moved
