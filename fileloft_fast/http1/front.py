"""In front of the service: operators' paths are answered here, every other request is watched."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Final

from fileloft_fast.dataplane import Tally
from fileloft_fast.errors import MethodNotAllowedError, UploadNotFoundError
from fileloft_fast.observe.operations import LOOKS, Operation
from fileloft_fast.observe.request import begin_request
from fileloft_fast.observe.table import METHODS, OTHER

if TYPE_CHECKING:
    from fileloft_fast.http1.site import Answerer
    from fileloft_fast.model import Body, RequestHead, Response
    from fileloft_fast.observe.access_log import AccessLog
    from fileloft_fast.observe.board import Board
    from fileloft_fast.observe.request import Served

_LARGE_BYTES: Final = 64 * 1024
"""A body from here on is long enough to have a rate."""


class Front:
    """An ``Answerer`` before another: counts what that one answers.

    Every request passes here, most of them small ones: a function more, or an object, would show.
    """

    def __init__(self, inner: Answerer, board: Board, access_log: AccessLog | None = None) -> None:
        self.operations: dict[str, Operation] = {}
        """By path; asked by GET and HEAD, neither counted nor in the access log."""
        self._inner = inner
        self._access_log = access_log
        received = board.cell("tusd_bytes_received")
        self._tallies = {
            method: Tally(
                board.cells,
                board.cell("tusd_requests_total", method),
                *board.buckets("fileloft_request_duration_seconds", method),
                received,
            )
            for method in (*METHODS, OTHER)
        }
        self._other = self._tallies[OTHER]
        self._rates = board.histogram("fileloft_chunk_throughput_bytes_per_second")

    def answer(self, head: RequestHead, body: Body) -> Awaitable[Response]:
        """Serve one request; see ``Answerer``."""
        operation = self.operations.get(head.path)
        if operation is None or head.method not in LOOKS:
            begin_request(body)
            return self._inner.answer(head, body)
        return operation(head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; see ``Answerer``."""
        return self._inner.failed(error, head)

    def ended(self, served: Served, response: Response) -> None:
        """Take note that a request is over, its answer sent as far as that could be."""
        head, request = served.head, served.request
        served.over = True
        if head.path in self.operations and head.method in LOOKS:
            return
        spent_s = monotonic() - served.started
        received = served.received
        counted = 0 if request is None else request.counted
        self._tallies.get(head.method, self._other).count(spent_s, received - counted)
        if received >= _LARGE_BYTES and spent_s:
            self._rates.observe(received / spent_s)
        if self._access_log is not None:
            self._access_log.write(served, response, spent_s)

    def flush(self) -> None:
        """Write what the access log has not written yet."""
        if self._access_log is not None:
            self._access_log.flush()


class Desk:
    """An ``Answerer`` of operations alone: operators' on an address of its own, pages on a path."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        failed: Callable[[Exception, RequestHead | None], Response],
    ) -> None:
        self._operations = operations
        self._failed = failed

    async def answer(self, head: RequestHead, body: Body) -> Response:  # noqa: ARG002 - Answerer
        """Serve one request; see ``Answerer``."""
        operation = self._operations.get(head.path)
        if operation is None:
            return self._failed(UploadNotFoundError("nothing is here"), head)
        if head.method not in LOOKS:
            return self._failed(MethodNotAllowedError("GET, HEAD"), head)
        return await operation(head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; see ``Answerer``."""
        return self._failed(error, head)
