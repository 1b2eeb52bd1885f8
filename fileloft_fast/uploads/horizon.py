"""Until when uploads have been looked at, so that a sweep need not look at them all again.

What was last written before then and is still there is finished, and never expires; or it could not
be deleted, and is remembered.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fileloft_fast.model import UploadId

_THOROUGH_S: Final = 86_400.0
"""Files with old times may be put there by hand; requests find them expired anyway."""

_MARGIN_S: Final = 2.0  # a file's time is coarse, and the clock may be set back a little
_KEPT: Final = 1000
_NEVER: Final = float("-inf")


class Horizon:
    """What the sweeps so far make needless; in memory, so that a start begins with all uploads."""

    def __init__(self) -> None:
        self.passed_over: set[UploadId] = set()
        """Expired, as far as could be told, and not deleted."""
        self._until = _NEVER
        self._thorough_at = _NEVER

    def since(self, until: float) -> float:
        """Return from when on a sweep *until* then has to look."""
        # A clock that was set back may have written times that lie before the last sweep's.
        self._until = min(self._until, until)
        if time.monotonic() - self._thorough_at > _THOROUGH_S:
            self._until = _NEVER
        return self._until - _MARGIN_S

    def reach(self, until: float) -> None:
        """Take note that a sweep *until* then has come to its end."""
        if self._until == _NEVER:
            self._thorough_at = time.monotonic()
        self._until = until
        if len(self.passed_over) > _KEPT:
            self.passed_over.clear()
            self._until = _NEVER
