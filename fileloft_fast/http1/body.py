"""A request's body as ``uploads`` sees it (``model.Body``), and as the connection feeds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from fileloft_fast.errors import BodyCutError, BodyTimeoutError, WireError
from fileloft_fast.http1.chunked import ChunkedReader
from fileloft_fast.http1.limits import (
    LARGE_PIECE_BYTES,
    MAX_AHEAD_BYTES,
    MAX_SKIPPED_BYTES,
    TINY_CHUNKS,
)
from fileloft_fast.http1.render import CONTINUE, render_interim

if TYPE_CHECKING:
    import asyncio

    from fileloft_fast.model import RequestHead, Response
    from fileloft_fast.observe.request import Request


class SocketSide(Protocol):
    """What a body asks of its connection."""

    def pause(self) -> None:
        """Leave the socket unread; idempotent."""

    def resume(self) -> None:
        """Read the socket again; idempotent."""

    def send_interim(self, data: bytes, *, needed: bool) -> bool:
        """Write an interim answer; False where the client is gone, or *needed* not and unread."""

    def is_abandoned(self) -> bool:
        """Whether the peer has closed or reset the connection."""

    def is_readable(self) -> bool:
        """Whether the kernel has bytes, or the end, of the connection that were not read."""

    def duplicate(self) -> int | None:
        """Return a new descriptor of the socket, None where it cannot be lent or is closed."""


class RequestBody:
    """One body: what arrived and was not taken, what is still to come, and why it ended early.

    It stands for its request while that is served; see ``observe.request.Served``. ``early`` are
    interim answers that leave with the final one; None once that has begun.
    """

    __slots__ = (
        "_ahead_bytes",
        "_asked",
        "_left",
        "_lent",
        "_loop",
        "_pieces",
        "_reader",
        "_side",
        "_stop",
        "_wait_start",
        "_waited_s",
        "_waiter",
        "_waiting_bytes",
        "_window_bytes",
        "early",
        "error",
        "head",
        "length",
        "over",
        "received",
        "request",
        "started",
        "tiny",
    )

    def __init__(
        self,
        side: SocketSide,
        loop: asyncio.AbstractEventLoop,
        head: RequestHead,
        ahead_bytes: int = MAX_AHEAD_BYTES,
    ) -> None:
        self.head = head
        self.started = monotonic()
        self.over = False
        self.request: Request | None = None
        self.length = head.content_length
        self.received = 0
        self.error: Exception | None = None
        self.early: bytes | None = b""
        self.tiny = False
        self._side = side
        self._ahead_bytes = ahead_bytes
        self._loop = loop
        self._left = head.content_length or 0  # by Content-Length; unused where chunked
        self._reader = ChunkedReader() if head.chunked else None
        self._asked = not head.expect_continue
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._stop: Callable[[], object] | None = None
        self._lent = -1
        self._wait_start = 0.0
        self._waited_s = 0.0
        self._window_bytes = 0

    # -- the side of uploads --------------------------------------------------------------------

    @property
    def at_hand(self) -> bool:
        """Whether the whole rest has arrived."""
        return self.ended and self.error is None

    @property
    def abandoned(self) -> bool:
        """Whether no more can come than what waits in the socket."""
        return self.error is not None or self._side.is_abandoned()

    @property
    def pending(self) -> bool:
        """Whether bytes of it are here, or in the socket, that were not handed out."""
        return bool(self._pieces) or (not self.ended and self._side.is_readable())

    def take(self) -> bytes:
        """Return the bytes that arrived and were not handed out."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._waiting_bytes = 0
        self.received += len(data)
        return data

    async def read(self) -> bytes:
        """Return the next bytes, b"" at the end; see ``model.Body``."""
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self.ended:
                return b""
            self._ask()
            self._side.resume()
            self._waiter = self._loop.create_future()
            self._wait_start = self._loop.time()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._waited_s += self._loop.time() - self._wait_start
        return self._take_next()

    def _take_next(self) -> bytes:
        """Return a large piece as it came, and small ones joined: none is copied for nothing."""
        pieces = self._pieces
        if len(pieces) == 1 or len(pieces[0]) < LARGE_PIECE_BYTES:
            return self.take()
        data = pieces.pop(0)
        self._waiting_bytes -= len(data)
        self.received += len(data)
        return data

    def lend(self, stop: Callable[[], object]) -> int | None:
        """Return a descriptor for the engine; see ``model.Body``."""
        if self._reader is not None or self._pieces or self.error is not None:
            return None
        self._ask()
        self._side.pause()
        descriptor = self._side.duplicate()
        if descriptor is not None:
            self._lent = descriptor
            self._stop = stop
        return descriptor

    def watch(self, stop: Callable[[], object] | None) -> None:
        """Tell *stop* of interrupts; see ``model.Body``."""
        self._stop = stop

    def restore(self, received: int) -> None:
        """Take the lent socket back; *received* bytes of the body were read from it."""
        os.close(self._lent)
        self._lent = -1
        self._stop = None
        self.received += received
        self._left -= received

    def interrupt(self, error: Exception) -> None:
        """End the body early for *error*, unless it has ended already, and tell who watches."""
        if self._stop is not None:
            self._stop()
        if self.error is None and not self.ended:
            self.error = error
            self._wake()

    def announce(self, interim: Response) -> bool:
        """Send *interim*, with the final answer where that comes next; see ``model.Body``."""
        if self.early is None or self.error is not None or self.head.http10:
            return False
        needed = interim.own[0][0] == "Location"  # which is first, where there is one
        if not self.ended:
            return self._side.send_interim(render_interim(interim), needed=needed)
        if needed:
            self.early += render_interim(interim)
        return needed

    def trailers(self) -> Mapping[str, str]:
        """Return the trailer fields that were kept."""
        return self._reader.trailers if self._reader is not None else {}

    # -- the side of the connection -------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the last byte of the body has arrived."""
        return self._left == 0 if self._reader is None else self._reader.ended

    @property
    def skippable(self) -> bool:
        """Whether the rest can be read away: it is short, and the client does send it."""
        known = self._reader is None and self._asked
        return known and self._left <= MAX_SKIPPED_BYTES and self.error is None

    def feed(self, data: bytes) -> bytes:
        """Take the bytes of this body from *data*; return what follows it."""
        if self._reader is None:
            piece, rest = (
                (data, b"") if len(data) <= self._left else (data[: self._left], data[self._left :])
            )
            self._left -= len(piece)
            self._keep(piece)
            return rest
        if self.error is not None:
            return b""
        try:
            pieces, rest = self._reader.feed(data)
        except WireError as error:
            self.interrupt(error)
            return b""
        self.tiny = len(pieces) > TINY_CHUNKS
        if self.tiny:
            self._side.pause()  # else libuv reads on, up to 32 times before anybody else's turn
        for piece in pieces:
            self._keep(piece)
        if self.ended:
            self._wake()
        return rest

    def check(self, now: float, timeout: float, min_rate: int) -> None:
        """Interrupt a body that is waited for and stalls or falls below *min_rate* (bytes/s)."""
        if self._waiter is None:
            return
        # Only what the client lets us wait counts, and over all reads of a window: one that sends a
        # byte before each deadline is too slow as well.
        idle = now - self._wait_start
        waited = self._waited_s + idle
        too_slow = waited >= timeout and self._window_bytes < min_rate * waited
        if idle >= timeout or too_slow:
            self.interrupt(BodyTimeoutError("the body stalled"))
        elif waited >= timeout:
            self._waited_s, self._wait_start, self._window_bytes = 0.0, now, 0

    def cut(self) -> None:
        """The client will send no more."""
        if not self.ended:  # a client may close its side once it has sent everything
            self.interrupt(BodyCutError("the connection ended before the body did"))

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        self._window_bytes += len(piece)
        if self._waiting_bytes > self._ahead_bytes:
            self._side.pause()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            if not self.ended:
                self._side.send_interim(CONTINUE, needed=True)
