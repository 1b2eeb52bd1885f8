"""When uploads expire (tus 1.0, Expiration)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from fileloft_fast.tus.plan import check_expired

if TYPE_CHECKING:
    from fileloft_fast.model import UploadInfo


class Expiry:
    """The clock of one server's uploads; *ttl_s* None where nothing expires.

    An expired upload is 410 until the sweeper has deleted it, and 404 from then on: some clients
    begin anew only after 404.

    Time begins anew with every byte that comes: the data file says when that was.
    """

    def __init__(self, ttl_s: int | None, *, finished_too: bool = False) -> None:
        self._ttl_s = ttl_s
        self._finished_too = finished_too

    def after(self, now: float) -> float | None:
        """Return when an upload whose last byte came at *now* expires, seconds since the epoch."""
        return None if self._ttl_s is None else now + self._ttl_s

    def horizon(self) -> float:
        """Return when the last byte came of an upload that expires just now; see ``after``."""
        return float("-inf") if self._ttl_s is None else time.time() - self._ttl_s

    def renewed(self, info: UploadInfo) -> UploadInfo:
        """Return *info* after a byte came just now."""
        if self._ttl_s is None:
            return info
        now = time.time()
        return replace(info, modified_at=now, expires_at=self.after(now))

    def check(self, info: UploadInfo) -> None:
        """Raise UploadGoneError where the upload's time is over."""
        if self._ttl_s is not None:
            check_expired(info, time.time(), finished_too=self._finished_too)
