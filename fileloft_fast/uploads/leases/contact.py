"""One line in the log when a service is lost, and one when it is back."""

from __future__ import annotations

import logging
import time

from fileloft_fast.observe.log import fields

log = logging.getLogger(__name__)


class Contact:
    """Whether *service* answers, as the last word from it says.

    It is said to be lost after *patience_s* without an answer: some fail now and then.
    """

    __slots__ = ("_lost_at", "_patience_s", "_said", "_service")

    def __init__(self, service: str, patience_s: float = 0.0) -> None:
        self._service = service
        self._patience_s = patience_s
        self._lost_at: float | None = None
        self._said = False

    @property
    def lost_s(self) -> float:
        """For how long it has not answered; 0 where it does."""
        return 0.0 if self._lost_at is None else time.monotonic() - self._lost_at

    def made(self) -> None:
        """Note that the service has answered."""
        self._lost_at = None
        if self._said:
            self._said = False
            log.info("%s: back", self._service)

    def lost(self, error: Exception) -> None:
        """Note that it has not."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        if not self._said and self.lost_s >= self._patience_s:
            self._said = True
            log.error("%s: lost", self._service, extra=fields(error=repr(error)))
