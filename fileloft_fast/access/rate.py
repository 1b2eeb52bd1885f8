"""How often a subject may begin an upload: a bucket of tokens each, in this process's memory."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Final

from fileloft_fast.errors import QuotaError

_KEPT: Final = 10_000  # a subject that was forgotten has its full bucket again
_LONGEST_WAIT_S: Final = 86_400.0


class Rates:
    """The buckets of the subjects seen last; each holds what comes in within a second, or one."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, subject: str, rate: float, now: float | None = None) -> None:
        """Take one. Raises QuotaError where the bucket is empty, saying when it is not."""
        now = time.monotonic() if now is None else now
        most = max(1.0, rate)
        held, at = self._buckets.pop(subject, (most, now))
        held = min(most, held + (now - at) * rate)
        enough = held >= 1
        self._buckets[subject] = (held - 1 if enough else held, now)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        if not enough:
            wait_s = max(1, math.ceil(min((1 - held) / rate, _LONGEST_WAIT_S)))
            raise QuotaError("the subject begins uploads too fast", retry_after_s=wait_s)
