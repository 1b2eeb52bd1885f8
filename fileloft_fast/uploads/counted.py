"""The answers of ``tus``, counted: what was made, finished, deleted and refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.observe.request import current_request
from fileloft_fast.observe.table import OTHER
from fileloft_fast.tus.responses import Answers

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead, Response, UploadInfo
    from fileloft_fast.observe.board import Board
    from fileloft_fast.tus.rules import TusRules


class CountedAnswers(Answers):
    """Makes the same answers."""

    def __init__(self, rules: TusRules, board: Board) -> None:
        super().__init__(rules)
        self._board = board
        self._cells = board.cells
        self._created = board.cell("tusd_uploads_created")
        self._finished = board.cell("tusd_uploads_finished")
        self._terminated = board.cell("tusd_uploads_terminated")

    def created(self, head: RequestHead, info: UploadInfo) -> Response:
        """Count an upload, and that it has all its bytes already."""
        cells = self._cells
        cells[self._created] += 1
        if info.complete:
            cells[self._finished] += 1
        return Answers.created(self, head, info)  # every upload passes here, and super() is dear

    def appended(self, head: RequestHead, info: UploadInfo) -> Response:
        """Count an upload that is whole now; not one that was, when its client asks again."""
        if info.complete and (head.content_length != 0 or "upload-length" in head.headers):
            self._cells[self._finished] += 1
        return super().appended(head, info)

    def terminated(self, head: RequestHead) -> Response:
        """Count an upload that was deleted."""
        self._cells[self._terminated] += 1
        return super().terminated(head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Count what was refused, by the status and the code that the client reads."""
        response = super().failed(error, head)
        request = current_request()
        if response.status >= 500 and request is not None:  # by which the log knows it
            named = (*response.own, ("X-Request-Id", request.id))
            response = replace(response, own=named)
        body = response.body
        # Latin-1: a hook's body may be any bytes.
        code = body.partition(b":")[0].decode("latin-1") if isinstance(body, bytes) else OTHER
        try:
            self._board.add("tusd_errors_total", str(response.status), code)
        except KeyError:  # of a hook's own making
            self._board.add("tusd_errors_total", f"{response.status // 100}xx", OTHER)
        return response
