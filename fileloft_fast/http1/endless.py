"""Answers that go on until somebody ends them: each piece leaves at once, and the end is told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.errors import FileloftError
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.http1.sending import Outlet
    from fileloft_fast.model import EndlessStream, RequestHead, Response

log = logging.getLogger(__name__)

_LAST_CHUNK: Final = b"0\r\n\r\n"
_CHUNKED: Final = ("Transfer-Encoding", "chunked")


def delimited(response: Response, head: RequestHead) -> Response:
    """Return *response* with what tells the client of *head* where a body without a length ends.

    By chunks on HTTP/1.1 (RFC 9112 section 7.1), by the end of the connection on 1.0. It is the
    last answer of its connection on both.
    """
    if isinstance(response.body, bytes) or response.body.length is not None:
        return response
    own = response.own if head.http10 else (*response.own, _CHUNKED)
    return replace(response, own=own, close=True)


class EndlessSending:
    """Writes each piece as it comes. Belongs to the task it runs in; see ``sending.Sending``."""

    moved: Final = 0  # what is told without an end is about the server, and none of its load

    def __init__(
        self, stream: EndlessStream, outlet: Outlet, *, chunked: bool, ending: bool = False
    ) -> None:
        self._pieces = stream.pieces
        self._outlet = outlet
        self._chunked = chunked
        self._task: asyncio.Task[object] | None = None
        self._until: asyncio.Timeout | None = None  # what ``end`` interrupts
        self._ending = ending  # it begins only to end in order
        self._unread = False  # whether a piece waits for the client

    async def begin(self) -> None:
        """Return at once: the client waits for the head, whenever the first piece comes."""
        self._task = asyncio.current_task()

    async def send(self, head: bytes) -> bool:
        """Send until there is an end; False where the client cannot be told of it."""
        if not await self._outlet.write(head):
            return False
        try:
            async with asyncio.timeout(0 if self._ending else None) as self._until:
                if not await self._write_pieces():
                    return False
        except TimeoutError:
            if not self._ending:
                raise
            if self._unread:  # whoever ends it does not wait for a client that does not read
                return False
        except FileloftError as error:
            log.warning("answer cut short", extra=fields(error=error, cause=error.__cause__))
            return False
        finally:
            self._until = None
        return not self._chunked or await self._outlet.write(_LAST_CHUNK)

    def cancel(self) -> None:
        """End the wait for a piece, or for the client to read."""
        if self._task is not None:
            self._task.cancel()

    def end(self) -> None:
        """End it in order."""
        if not self._ending and self._until is not None:
            self._until.reschedule(asyncio.get_running_loop().time())
        self._ending = True

    async def close(self) -> None:
        """Close the stream; nothing cuts this short."""
        self._task = None
        await self._pieces.aclose()

    async def _write_pieces(self) -> bool:
        async for piece in self._pieces:
            if not piece:  # the mark of the end
                continue
            self._unread = True
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece
            if not await self._outlet.write(framed):
                return False
            self._unread = False
        return True
