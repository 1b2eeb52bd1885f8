"""A load client on native threads: scripts of HTTP requests, many connections, exact latencies.

A unit runs one script, its steps in order on one connection. A unit that fails ends there, and the
next one begins. Any HTTP/1.1 server may be loaded, a broken one too: what it does wrong is counted
and told, and a step that does not go on ends after a timeout.
"""

from collections.abc import Sequence
from typing import final

from fileloft_fast.dataplane.histogram import Histogram as Histogram
from fileloft_fast.dataplane.steps import Step as Step

@final
class Load:
    """*units* units on *connections* connections, to be run once."""

    def __init__(
        self,
        address: tuple[str, int] | str,
        scripts: Sequence[Sequence[Step]],
        *,
        units: int,
        connections: int,
        rate: float = 0.0,
        threads: int = 1,
        timeout_s: float = 60.0,
    ) -> None:
        """Unit i runs ``scripts[i % len(scripts)]``; nothing is sent yet.

        *address* is an IP address and a port, or the path of a Unix socket. With a *rate* unit i is
        due at i/rate seconds, and its latency counts from then, also where no connection was free
        (no coordinated omission). Without one each connection begins a unit when it has ended one.
        A step that moves fewer than 64 KiB in *timeout_s* and is not over then has failed; a piece
        of a paced body counts as much. Raises ValueError for what cannot be, OSError for an address
        that is none.
        """

    def run(self) -> None:
        """Open the connections, start the clock, and return when every unit has ended.

        Blocks, without the GIL. Signals are handled: where a handler raises (Ctrl-C in the main
        thread), the run is cancelled and the exception goes on. Raises OSError where a thread or a
        descriptor cannot be had, RuntimeError the second time.
        """

    def cancel(self) -> None:
        """End ``run`` within milliseconds, from any thread; what was under way is not counted."""

    @property
    def units_done(self) -> int:
        """Units that have ended, well or not, live."""

    @property
    def bytes_sent(self) -> int:
        """Bytes of request bodies that sockets took, live; heads are not counted."""

    @property
    def bytes_received(self) -> int:
        """Bytes of response bodies that were read and dropped, live; heads are not counted."""

    # What follows is known after the run; RuntimeError before.

    @property
    def seconds(self) -> float:
        """From the start of the clock, when the connections were open, to the end of the last unit.

        With a *rate* the clock starts when unit 0 is due.
        """

    def histogram(self, step: int) -> Histogram:
        """Return the latencies of the step with that index, of all scripts, where it succeeded.

        The first step counts from when the unit was due or begun, the others from the answer
        before.
        """

    @property
    def unit_histogram(self) -> Histogram:
        """The latencies of the units that succeeded."""

    @property
    def failures(self) -> dict[str, int]:
        """How many units failed of what.

        ``step 1: 503`` is another status than the wanted one of the step with index 1, ``step 1:
        413 early`` an answer before its body was sent, ``step 1: offset`` another Upload-Offset
        than the wanted one. ``connect``, ``reset``, ``closed`` (the server ended the connection
        before the answer was complete), ``timeout``, ``bad answer`` (not HTTP, or a head of more
        than 16 KiB), ``no location``, ``file`` (the body's file cannot be sent), ``local`` (no
        descriptor, no memory).
        """

    @property
    def first_failure(self) -> bytes:
        """What the server said where a unit failed first, or the system's error; empty: none did.

        What it said is a head, or what there was of it.
        """

    @property
    def reconnects(self) -> int:
        """Connections that were opened beyond the first ones."""
