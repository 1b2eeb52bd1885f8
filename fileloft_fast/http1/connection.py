"""One HTTP/1.1 connection: requests in order, one at a time, over the loop's one read buffer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar, cast

from fileloft_fast.errors import (
    FileloftError,
    HeadTimeoutError,
    OverloadedError,
    ShuttingDownError,
)
from fileloft_fast.http1.body import RequestBody
from fileloft_fast.http1.channel import Channel
from fileloft_fast.http1.endless import delimited
from fileloft_fast.http1.head import HEAD_END, check_partial, parse_head, skip_leading_lines
from fileloft_fast.http1.limits import (
    DRAIN_LINGER_S,
    LINGER_BYTES,
    LINGER_S,
    MAX_AHEAD_BYTES,
    MAX_PIPELINE_BYTES,
    TINY_READ_BYTES,
)
from fileloft_fast.http1.peer import peer_of
from fileloft_fast.http1.render import render_head
from fileloft_fast.http1.sending import Sending, sending_of
from fileloft_fast.http1.state import IDLE, SERVING, State
from fileloft_fast.model import NOBODY
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    import asyncio

    from fileloft_fast.http1.site import Site
    from fileloft_fast.model import RequestHead, Response

log = logging.getLogger(__name__)


class Connection(Channel):
    """What uvloop calls for one connection; docs/internals/byte-path.md shows the way of a byte."""

    ahead_bytes: ClassVar[int] = MAX_AHEAD_BYTES

    def __init__(self, site: Site, told: str | None = None) -> None:
        super().__init__(site)
        self.told = told  # the client's address in a PROXY header
        self._state = IDLE
        self._pending = b""  # came, and belongs to no request yet
        self._body: RequestBody | None = None
        self._lingered = 0
        self._sending: Sending | None = None  # a body that is not at hand
        self._peer = NOBODY

    # -- what uvloop calls ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; never reads or pauses here, where uvloop does not honour it yet."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self.high_water_bytes, 0)
        self._peer = peer_of(transport, self._site.trusted, self.told)
        crowd = len(self._site.connections)
        self._site.connections.add(self)
        self._deadline = self._loop.time() + self._site.patience.head_s
        if crowd >= self._site.max_connections or self._site.refusing:
            error = (
                ShuttingDownError("stopping")
                if self._site.refusing
                else OverloadedError("too many connections")
            )
            self._refuse(error)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio
        """Lend the loop's read buffer, a part of it where each byte costs much to look at."""
        if self._body is not None and self._body.tiny:
            return self._site.buffer[:TINY_READ_BYTES]
        return self._site.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read out of the shared buffer."""
        data = bytes(self._site.buffer[:nbytes])
        if self._state is SERVING:
            self._on_serving__data(data)
        elif self._state is IDLE:
            self._next_request(self._pending + data, len(self._pending))
        elif self._state is State.SKIPPING:
            self._on_skipping__data(data)
        elif self._state is State.LINGERING:
            self._lingered += nbytes
            if self._lingered > LINGER_BYTES:
                self.abort()

    def eof_received(self) -> bool:
        """Answer what was asked even where the client has closed its side (RFC 9112 9.6)."""
        self._half_closed = True
        if self._state is SERVING and self._body is not None:
            self._body.cut()
            if self._sending is not None:
                self._sending.end()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio
        """End whatever runs; the bytes that arrived count."""
        self._state = State.CLOSED
        self._transport = None
        self._pending = b""
        self._site.leave(self)
        if self._body is not None:
            self._body.cut()
        if self._sending is not None:
            self._sending.cancel()
        self.resume_writing()

    # -- what the site asks ---------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Close, or end the body, where the client is late at *now* (loop time)."""
        patience = self._site.patience
        if self._state is SERVING:
            if self._body is not None:
                self._body.check(now, patience.body_s, patience.min_rate_bytes_per_s)
                # Before its final answer a client need not read: many send everything first.
                answered = self._body.early is None
                if answered and self._writable is not None and now > self._deadline:
                    self._check_reader(now)
        elif now > self._deadline:
            if self._state is IDLE and self._pending:
                late = HeadTimeoutError("the request head did not arrive in time")
                self._refuse(late, head_only=self._pending.startswith(b"HEAD "))
            elif self._state is IDLE:
                self._close()
            else:
                self.abort()

    def drain(self) -> None:
        """Take no further request; end a running body, whose bytes are kept."""
        if self._state is IDLE:
            self._close()
        elif self._state in {State.LINGERING, State.SKIPPING}:
            self._deadline = min(self._deadline, self._loop.time() + DRAIN_LINGER_S)
        elif self._body is not None:
            self._body.interrupt(ShuttingDownError("the server is stopping"))

    # -- requests -------------------------------------------------------------------------------

    def _next_request(self, data: bytes, checked: int) -> None:
        """Serve the request at the start of *data*, of which *checked* bytes were seen before."""
        try:
            request = skip_leading_lines(data) if data.startswith(b"\r\n") else data
            end = request.find(HEAD_END, max(0, checked - 3) if request is data else 0)
            if end < 0:
                check_partial(request, checked if request is data else 0)
                if self._half_closed:
                    self._close()
                    return
                if not self._pending and data:
                    self._deadline = self._loop.time() + self._site.patience.head_s
                self._pending = data
                self.resume()
                return
            head = parse_head(request[: end + 4], secure=self.secure, peer=self._peer)
            if self._site.handover is not None and self._site.handover.moves(self, head.path, data):
                return
        except FileloftError as error:
            self._refuse(error, head_only=data.lstrip(b"\r\n").startswith(b"HEAD "))
            return
        if self._site.behind is not None:
            head = self._site.behind(head)
        body = self._body = RequestBody(self, self._loop, head, self.ahead_bytes)
        rest = request[end + 4 :]
        self._state = SERVING
        self._pending = body.feed(rest) if rest else b""
        if not (body.ended or head.chunked or self.secure):
            self.pause()  # the engine reads the rest
        self._site.start(self._serve(head, body), body)

    def _on_serving__data(self, data: bytes) -> None:
        rest = data if self._body is None or self._body.ended else self._body.feed(data)
        if rest:
            self._pending += rest
            if len(self._pending) > MAX_PIPELINE_BYTES:
                self.pause()

    def _on_skipping__data(self, data: bytes) -> None:
        assert self._body is not None
        self._pending += self._body.feed(data)
        self._body.take()
        if self._body.ended:
            self._turn_idle()

    async def _serve(self, head: RequestHead, body: RequestBody) -> None:
        try:
            response = await self._site.answerer.answer(head, body)
        except Exception as error:
            log.exception("request failed", extra=fields(method=head.method, path=head.path))
            response = self._site.answerer.failed(error, head)
        except BaseException:  # cancelled: there is no answer, and no request any more
            self._site.forget(body, self)
            raise
        try:
            if isinstance(response.body, bytes):
                await self._write_answer(head, body, response)
            else:
                await self._respond(head, body, response)
        except Exception:  # no descriptors left, or a bug of ours: the client may try again
            log.exception("answer failed", extra=fields(method=head.method, path=head.path))
            self.abort()
        finally:
            self._site.end(body, response)

    async def _respond(self, head: RequestHead, body: RequestBody, response: Response) -> None:
        """Answer with a body that is not at hand."""
        response = delimited(response, head)
        assert not isinstance(response.body, bytes)
        sending = self._sending = sending_of(response.body, self, self._site, http10=head.http10)
        self._site.sendings.add(sending)
        try:
            if head.method != "HEAD":
                await sending.begin()
            await self._write_answer(head, body, response, sending)
        except FileloftError as error:
            await self._write_answer(head, body, self._site.answerer.failed(error, head))
        finally:
            self._sending = None
            self._site.forget_sending(sending)
            await sending.close()

    async def _write_answer(
        self,
        head: RequestHead,
        body: RequestBody,
        response: Response,
        sending: Sending | None = None,
    ) -> None:
        early, body.early = body.early, None
        if self._writable is not None:  # an interim answer still waits for the client
            await self._catch_up()
        close = (
            response.close
            or not head.keep_alive
            or ((self._half_closed or self._site.draining) and not self._pending)
            or self._site.refusing
            or not (body.ended or body.skippable)
        )
        head_only = head.method == "HEAD"
        data = render_head(
            response,
            self._site.date.line(),
            head_only=head_only,
            close=close,
            keep_alive_10=head.http10,
        )
        if early:
            data = early + data
        if sending is not None and not head_only:
            if not await sending.send(data):
                self.abort()
                return
        else:
            at_hand = response.body if isinstance(response.body, bytes) else b""
            await self.write(data if head_only else data + at_hand)
        if self._transport is None:
            return
        if close:
            self._linger()
        elif not body.ended:  # asked again: it may have ended meanwhile
            self._state = State.SKIPPING
            self._deadline = self._loop.time() + LINGER_S
            self.resume()
        else:
            self._turn_idle()

    def _turn_idle(self) -> None:
        """Go on with the next request, which may have come already."""
        self._state = IDLE
        self._body = None
        self._deadline = self._loop.time() + self._site.patience.idle_s
        if self._pending:
            # A pipeline that has filled up is not added to before it has been worked off.
            data, self._pending = self._pending, b""
            self._next_request(data, 0)
        elif self._half_closed:
            self._close()
        else:
            self.resume()

    # -- endings --------------------------------------------------------------------------------

    def _refuse(self, error: Exception, *, head_only: bool = False) -> None:
        """Answer what is no request that could be served, then close.

        *head_only*: as far as it can be read, the request is HEAD.
        """
        response = self._site.answerer.failed(error, None)
        if self._transport is not None and isinstance(response.body, bytes):
            head = render_head(response, self._site.date.line(), head_only=head_only, close=True)
            self._transport.write(head if head_only else head + response.body)
        self._pending = b""
        self._linger()

    def _linger(self) -> None:
        """Send FIN and drop what still comes for a while: a reset would destroy the answer."""
        if self._transport is None:
            return
        if self._half_closed:
            self._close()
            return
        self._state = State.LINGERING
        self._body = None
        patience = DRAIN_LINGER_S if self._site.draining else LINGER_S
        self._deadline = self._loop.time() + patience
        self._transport.write_eof()
        self.resume()
