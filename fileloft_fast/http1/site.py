"""What all connections of one loop share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fileloft_fast.http1.limits import READ_BUFFER_BYTES
from fileloft_fast.http1.render import DateLine

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from fileloft_fast.config import Networks
    from fileloft_fast.dataplane import Engine
    from fileloft_fast.http1.body import RequestBody
    from fileloft_fast.http1.connection import Connection
    from fileloft_fast.http1.handover import Handover
    from fileloft_fast.http1.sending import Sending
    from fileloft_fast.model import Body, RequestHead, Response


class Answerer(Protocol):
    """Whoever decides what a request means: ``uploads.Service``."""

    def answer(self, head: RequestHead, body: Body) -> Awaitable[Response]:
        """Serve one request; every refusal is a Response, so only our own bugs raise."""

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; *head* is None where no head could be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client is waited for, in seconds."""

    head_s: float = 15.0
    idle_s: float = 75.0
    body_s: float = 60.0
    min_rate_bytes_per_s: int = 64


@dataclass(slots=True, kw_only=True)
class Site:
    """The shared parts: the answerer, the engine, the read buffer, live connections, limits.

    One read buffer serves every connection of the loop: libuv fills it and calls back within one
    step, so that two connections never hold it at once. *trusted* are the proxies whose forwarded
    fields count, None for everybody's; *behind* puts into a request what they say of its client.
    """

    loop: asyncio.AbstractEventLoop
    answerer: Answerer
    engine: Engine
    patience: Patience = field(default_factory=Patience)
    max_connections: int = 10_000
    trusted: Networks | None = None
    behind: Callable[[RequestHead], RequestHead] | None = None
    ended: Callable[[RequestBody, Response], None] = lambda _body, _response: None
    """Hears of every request that is over, with its answer sent as far as that could be."""
    handover: Handover | None = None
    """Hands a connection to the worker that has the upload of its next request."""
    draining: bool = False
    """Whether each answer is the last one of its connection, but to a pipeline."""
    refusing: bool = False
    """Whether who connects is refused."""
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[Connection] = field(default_factory=set)
    entering: set[asyncio.Task[None]] = field(default_factory=set)
    """Those that make a connection ready."""
    running: dict[RequestBody, asyncio.Task[None]] = field(default_factory=dict)
    """What serves each request."""
    sendings: set[Sending] = field(default_factory=set)
    """Bodies that were not at hand, on their way to clients."""
    sent_bytes: int = 0
    """What left of such bodies that are over."""
    date: DateLine = field(default_factory=DateLine)
    buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BUFFER_BYTES)))

    def start(self, serving: Coroutine[None, None, None], body: RequestBody) -> None:
        """Run a request; a drain waits for it, whatever its connection.

        It ends with ``end``, or with ``forget`` where it has no answer.
        """
        self.running[body] = self.loop.create_task(serving)

    def end(self, body: RequestBody, response: Response) -> None:
        """Take note that a request is over: the last that its task does."""
        del self.running[body]
        self.ended(body, response)
        if self.draining:
            self._maybe_empty()

    def forget(self, body: RequestBody, connection: Connection) -> None:
        """Wait no more for a request that was cancelled, and let its client know."""
        del self.running[body]
        connection.abort()
        self._maybe_empty()

    def forget_sending(self, sending: Sending) -> None:
        """Take note that a body is over."""
        self.sendings.discard(sending)
        self.sent_bytes += sending.moved

    def enter(self, task: asyncio.Task[None]) -> None:
        """Have a drain wait for *task*, which makes a connection ready."""
        self.entering.add(task)
        task.add_done_callback(self._entered)

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """What a drain waits for besides connections."""
        return (*self.running.values(), *self.entering)

    def _entered(self, task: asyncio.Task[None]) -> None:
        self.entering.discard(task)
        self._maybe_empty()

    def _maybe_empty(self) -> None:
        if self.draining and not (self.connections or self.running or self.entering):
            self.emptied.set()

    def _end_endless(self) -> None:
        for sending in tuple(self.sendings):
            sending.end()

    def check(self) -> None:
        """Close what is late; called about once a second."""
        now = self.loop.time()
        for connection in tuple(self.connections):
            connection.check(now)

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self._maybe_empty()

    def finish(self) -> None:
        """Answer what runs and, on every open connection, what comes next, then close it."""
        self.draining = True
        self._end_endless()
        self._maybe_empty()

    def drain(self) -> None:
        """Take no further request: idle connections close, running bodies end with 503."""
        self.draining = self.refusing = True
        self._end_endless()
        self._maybe_empty()
        for connection in tuple(self.connections):
            connection.drain()
