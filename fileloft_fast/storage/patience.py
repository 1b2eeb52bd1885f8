"""When a call that failed is tried again, and when its failure is the caller's."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fileloft_fast.storage.bodies import resendable
from fileloft_fast.storage.failures import StorageError, TimedOutError, UnavailableError

if TYPE_CHECKING:
    from fileloft_fast.storage.calls import Call

_FIRST_PAUSE_S = 0.1
_CHANCE = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a call is tried again, at most, and how long is waited before, at most."""

    retries: int
    longest_pause_s: float

    def pause_s(self, error: StorageError, tries: int, call: Call[object]) -> float:
        """Return how long to wait after *error* of the *tries*-th try until *call* is tried again.

        Raises *error* where it is not tried again: it was refused, not missed; it was tried often
        enough; its body came once; it may have been done, and to do it twice is something else; or
        the server wants more patience than there is.
        """
        if not isinstance(error, UnavailableError) or isinstance(error, TimedOutError):
            raise error
        if tries > self.retries or not resendable(call.body):
            raise error
        if error.perhaps_done and not call.repeatable:
            raise error
        if error.retry_after_s is not None:
            if error.retry_after_s > self.longest_pause_s:
                raise error
            return error.retry_after_s
        # Of many who were cut off at once, not all come back at once.
        pause: float = _FIRST_PAUSE_S * 2 ** (tries - 1) * _CHANCE.uniform(0.5, 1.5)
        return min(pause, self.longest_pause_s)
