"""The answers of both protocols, counted: what was made, finished, deleted and refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.errors import RefusedByHookError
from fileloft_fast.errors.base import code_of
from fileloft_fast.observe.request import current_request
from fileloft_fast.observe.table import OTHER
from fileloft_fast.resumable.speaking import SpeakingAnswers

if TYPE_CHECKING:
    from fileloft_fast.model import RequestHead, Response, UploadInfo
    from fileloft_fast.observe.board import Board
    from fileloft_fast.resumable.rules import ResumableRules


class CountedAnswers(SpeakingAnswers):
    """Makes the same answers."""

    def __init__(self, rules: ResumableRules, board: Board) -> None:
        super().__init__(rules, time.time)
        self._board = board
        self._cells = board.cells
        self._created = board.cell("tusd_uploads_created")
        self._finished = board.cell("tusd_uploads_finished")
        self._terminated = board.cell("tusd_uploads_terminated")

    def created(self, head: RequestHead, info: UploadInfo) -> Response:
        """Count an upload, and that it has all its bytes already."""
        cells = self._cells
        cells[self._created] += 1
        if info.offset == info.length and not info.awaits_end:
            cells[self._finished] += 1
        # Every upload passes here, and super() is dear.
        return SpeakingAnswers.created(self, head, info)

    def completed(self, head: RequestHead, info: UploadInfo) -> Response:
        """Count an upload that is whole now."""
        self._cells[self._finished] += 1
        return super().completed(head, info)

    def terminated(self, head: RequestHead) -> Response:
        """Count an upload that was deleted."""
        self._cells[self._terminated] += 1
        return super().terminated(head)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Count what was refused, by the status and the code of what went wrong."""
        response = super().failed(error, head)
        request = current_request()
        if response.status >= 500 and request is not None:  # by which the log knows it
            named = (*response.own, ("X-Request-Id", request.id))
            response = replace(response, own=named)
        own = isinstance(error, RefusedByHookError) and error.answer_body
        code = OTHER if own else f"ERR_{code_of(error).upper()}"
        try:
            self._board.add("tusd_errors_total", str(response.status), code)
        except KeyError:  # of a hook's own making
            self._board.add("tusd_errors_total", f"{response.status // 100}xx", OTHER)
        return response
