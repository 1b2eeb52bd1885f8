"""Why nothing, or one thing, could be measured."""

from __future__ import annotations

from fileloft_fast.errors import FileloftError


class BenchError(FileloftError):
    """Nothing can be measured: the message says what to change, in one line."""

    code = "bench"


class NotOfferedError(FileloftError):
    """The server does not do what a work needs, and says so; that is no failure of it."""

    code = "not_offered"


class RefusedError(FileloftError):
    """A request by which a work is prepared or checked was answered wrongly."""

    code = "refused"

    def __init__(self, what: str, said: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.said = said
