"""How large the parts of an upload are, so that it fits into what the store takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import TooLargeError

if TYPE_CHECKING:
    from fileloft_fast.stores.remote.objects import Limits

_STEP: Final = 1024 * 1024  # parts that had to grow are round numbers to whoever looks at them


def plan_part_bytes(limits: Limits, wanted: int, length: int | None, max_size: int) -> int:
    """Return the size of every part but the last: *wanted*, or what the store's limits make of it.

    *length* is None where it is not known yet: the upload may then become as large as *max_size*
    (0: no limit) and the store allow. Raises TooLargeError where *length* is more than the store
    takes, in however large parts; a ValueError would be a wrong *wanted*.
    """
    if wanted < 1:
        raise ValueError(f"not a size of a part: {wanted}")
    largest = limits.largest_part // limits.granule * limits.granule
    most = min(limits.largest_object, largest * limits.most_parts)
    bound = most if length is None else length
    if bound > most:
        raise TooLargeError(f"the store takes objects of at most {most} bytes")
    if length is None and max_size:
        bound = min(bound, max_size)
    size = _rounded(max(wanted, limits.smallest_part), limits.granule)
    needed = -(-bound // limits.most_parts)
    if size < needed:
        size = _rounded(needed, math.lcm(limits.granule, _STEP))
    return min(size, largest)


def _rounded(size: int, step: int) -> int:
    """Return the smallest multiple of *step* that is not below *size*."""
    return -(-size // step) * step
