"""A connection goes on in another worker: the one that has the upload of its next request.

Between two requests only, and with every byte that was read and not served. What it takes is a
message with the client's socket; the sender closes its own descriptor, which the client does not
notice. A message that nobody has read yet waits, also for the successor of a worker that died.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from fileloft_fast.errors import OverloadedError, ShuttingDownError
from fileloft_fast.http1.connection import Connection
from fileloft_fast.http1.state import State
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    import asyncio

    from fileloft_fast.http1.site import Site
    from fileloft_fast.observe.board import Board

log = logging.getLogger(__name__)

_INLINE_BYTES: Final = 1024
"""More than that goes into a file in memory, so that many connections can wait in a socket."""
_QUEUE_BYTES: Final = 4 * 1024 * 1024  # asked for; the kernel gives what net.core.wmem_max allows
_TOLD_BYTES: Final = 255
_AT_ONCE: Final = 16

Inbox = tuple[socket.socket, socket.socket]
"""Where connections for a worker are put in, and where it takes them out."""


def open_inboxes(workers: int) -> list[Inbox]:
    """Return an inbox for each of *workers*. Made before they are forked, it outlives each."""
    inboxes = []
    for _ in range(workers):
        putting, taking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        putting.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _QUEUE_BYTES)
        for each in (putting, taking):
            each.setblocking(False)  # noqa: FBT003 - the library's signature
        inboxes.append((putting, taking))
    return inboxes


class Handover:
    """Hands connections of one worker, *own* of all that have *inboxes*, to the others.

    *worker* tells whose a request's path is, None where any may serve it.
    """

    def __init__(
        self,
        own: int,
        inboxes: Sequence[Inbox],
        worker: Callable[[str], int | None],
        board: Board,
    ) -> None:
        self._own = own
        self._inboxes = inboxes
        self._worker = worker
        self._site: Site | None = None
        self._cells = board.cells
        self._moved = board.cell("fileloft_connections_handed_over_total")

    def moves(self, connection: Connection, path: str, data: bytes) -> bool:
        """Hand *connection* over where *path* is another worker's, and return whether it is.

        *data* came and was not served: the request for *path*, and what follows it. Raises
        OverloadedError where the other one does not take it, ShuttingDownError.
        """
        to = self._worker(path)
        if to is None or to == self._own:
            return False
        if self._site is not None and self._site.draining:  # and so does the other one
            raise ShuttingDownError("the server is stopping")
        connection.pause()  # what has not been read is in the socket, and goes with it
        try:
            self._put(to, connection, data)
        except OSError as error:  # its queue is full, or no descriptors are left
            log.warning("no hand-over", extra=fields(worker=to, error=error))
            raise OverloadedError("the worker of this upload is busy, try again") from error
        self._cells[self._moved] += 1
        connection.abort()  # closes a descriptor; the socket is open elsewhere
        return True

    def receive(self, site: Site) -> None:
        """Serve on *site* what others hand over, until ``stop``."""
        self._site = site
        site.loop.add_reader(self._inboxes[self._own][1], self._take, site)

    def stop(self, site: Site) -> None:
        """Take no more."""
        site.loop.remove_reader(self._inboxes[self._own][1])

    def _put(self, to: int, connection: Connection, data: bytes) -> None:
        client = connection.duplicate()
        if client is None:  # it has ended, and nobody waits for an answer
            return
        descriptors = [client]
        try:
            told = (connection.told or "").encode()[:_TOLD_BYTES]
            if len(data) > _INLINE_BYTES:
                descriptors.append(_file_of(data))
                data = b""
            message = bytes([len(told)]) + told + data
            socket.send_fds(self._inboxes[to][0], [message], descriptors)
        finally:
            for each in descriptors:
                os.close(each)

    def _take(self, site: Site) -> None:
        for _ in range(_AT_ONCE):
            try:
                message, descriptors, _, _ = socket.recv_fds(
                    self._inboxes[self._own][1],
                    1 + _TOLD_BYTES + _INLINE_BYTES,
                    2,
                    socket.MSG_CMSG_CLOEXEC,
                )
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                log.error("a connection was lost", extra=fields(error=error))  # noqa: TRY400 - not ours
                return
            if descriptors:
                self._welcome(site, message, descriptors)
            elif message:  # the kernel drops what there are no descriptors for
                log.error("a connection was lost: no descriptors left")
            else:
                return

    def _welcome(self, site: Site, message: bytes, descriptors: Sequence[int]) -> None:
        client = socket.socket(fileno=descriptors[0])
        client.setblocking(False)  # noqa: FBT003 - the library's signature
        end = 1 + message[0]
        data = _contents_of(descriptors[1]) if len(descriptors) > 1 else message[end:]
        entering = _enter(site, client, message[1:end].decode() or None, data)
        site.enter(site.loop.create_task(entering))


class MovedConnection(Connection):
    """``Connection`` that was another worker's: some bytes were read there."""

    def __init__(self, site: Site, told: str | None, came: bytes) -> None:
        super().__init__(site, told)
        self._came = came

    def begin(self) -> None:
        """Serve what came before, if nothing has made a beginning yet."""
        self._take_up(b"")

    def buffer_updated(self, nbytes: int) -> None:
        """See ``Connection``."""
        if self._came:
            self._take_up(bytes(self._site.buffer[:nbytes]))
        else:
            super().buffer_updated(nbytes)

    def eof_received(self) -> bool:
        """See ``Connection``."""
        self._take_up(b"")
        return super().eof_received()

    def _take_up(self, more: bytes) -> None:
        came, self._came = self._came, b""
        if came and self._state is State.IDLE and self._transport is not None:
            self._next_request(came + more, 0)


async def _enter(site: Site, client: socket.socket, told: str | None, came: bytes) -> None:
    connection = MovedConnection(site, told, came)

    def made() -> asyncio.BaseProtocol:
        return connection

    # From here on the socket is the transport's, which closes it.
    try:
        await site.loop.connect_accepted_socket(made, client)
    except OSError as error:
        log.debug("client is gone", extra=fields(error=error))
        return
    connection.begin()


def _file_of(data: bytes) -> int:
    descriptor = os.memfd_create("handover", os.MFD_CLOEXEC)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _contents_of(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        file.seek(0)
        contents: Any = file.read()
    return bytes(contents)
