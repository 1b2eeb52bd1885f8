"""Whole bodies between sockets and files, moved by threads that never take the GIL."""

from asyncio import Future
from typing import final

from typing_extensions import disjoint_base

from fileloft_fast.dataplane.digest import Digest
from fileloft_fast.dataplane.dispatch import Dispatcher

@final
class Transfer:
    """A running receive or send; only the engine makes one (TypeError)."""

    def __init__(self, *_: object, **__: object) -> None: ...
    @property
    def done(self) -> Future[int]:
        """Resolve with ``moved`` when it is over; never fails, see ``errno``.

        Cancelling this future does not end the transfer: await it shielded where the task that
        waits may be cancelled, and close no descriptor before it is over.
        """

    @property
    def moved(self) -> int:
        """Bytes that are in the file (the prefix included) or were given to the socket, live.

        Of a receive it may lag by what the low-water mark holds back in the socket, for at most a
        tick (a second); ``progress`` does not.
        """

    @property
    def errno(self) -> int:
        """0 while it runs and where it did not fail; else, once it is over, why it ended early.

        ECONNRESET and EPIPE (the peer), ETIMEDOUT (idle, or below the minimum rate), ECANCELED,
        ENOSPC, EIO and what else the disk says. A FIN before the end is 0 and fewer bytes than
        asked for. A file shorter than the slice to be sent is EIO.
        """

    def cancel(self) -> None:
        """End it within milliseconds.

        What was queued in the socket is stored first; where that completes the body, ``errno``
        is 0. A send stops where it is.
        """

    def progress(self) -> Future[int]:
        """Store what is queued in the socket now, then resolve with ``moved``.

        Takes milliseconds and never fails, also where the transfer ends or has ended meanwhile.
        """

@disjoint_base
class Lender(Dispatcher):
    """The part of the engine that lends sockets to its threads."""

    def receive(
        self,
        sock: int,
        file: int,
        offset: int,
        length: int,
        *,
        prefix: bytes = b"",
        digest: Digest | None = None,
        idle_ms: int = 0,
        min_rate: int = 0,
        writeback: bool = False,
    ) -> Transfer:
        """Write *prefix* at *offset*, then exactly ``length - len(prefix)`` bytes of *sock*.

        *sock* is non-blocking; neither descriptor is closed, and both stay open until ``done``. Not
        one byte more is read from the socket. *digest* sees every stored byte. *idle_ms*: no byte
        for so long is ETIMEDOUT, and so are fewer than *min_rate* bytes a second over each such
        window; 0 switches both off. *writeback* starts writing to the disk while bytes arrive, for
        a sync that follows.

        Raises OSError where *sock* cannot be watched (EBADF, EEXIST: it is lent already, ENOSPC:
        the limit of epoll) or no thread can be started (EAGAIN), MemoryError, RuntimeError where
        the engine is closed or *digest* is in use. Nothing was lent then, no byte was moved.

        After ECANCELED, ETIMEDOUT and ECONNRESET every byte that left the socket is in the file;
        after an error of the disk some may be lost, and the connection is of no more use.
        """

    def send(
        self,
        sock: int,
        file: int,
        offset: int,
        length: int,
        *,
        head: bytes = b"",
        idle_ms: int = 0,
        min_rate: int = 0,
    ) -> Transfer:
        """Send *head*, then exactly *length* bytes of *file* from *offset*; ``moved`` counts those.

        Nothing else may write to the socket meanwhile. *idle_ms* and *min_rate* are those of
        ``receive``, for bytes that the socket takes; so is what it raises.
        """
