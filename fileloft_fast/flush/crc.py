"""CRC-32C of joined bytes from the CRCs of the pieces, without reading them again.

A CRC is a polynomial over GF(2) modulo that of CRC-32C. To append n bytes is to multiply by x^8n,
and x^8n is a product of one table entry for each hexadecimal digit of n.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78  # Castagnoli's, reflected: the top bit is the coefficient of x^0
_ONE: Final = 1 << 31
_X8: Final = _ONE >> 8
_DIGITS: Final = 16  # lengths below 2^64


def _times(left: int, right: int) -> int:
    """Return the product of two polynomials, modulo the CRC's."""
    product = 0
    while left:
        if left & _ONE:
            product ^= right
        left = (left << 1) & 0xFFFFFFFF
        right = (right >> 1) ^ _POLYNOMIAL if right & 1 else right >> 1
    return product


def _powers() -> list[list[int]]:
    """Return x^(8 · digit · 16^place), by place and digit."""
    table = []
    base = _X8
    for _ in range(_DIGITS):
        row = [_ONE]
        for _ in range(15):
            row.append(_times(row[-1], base))
        table.append(row)
        base = _times(row[-1], base)
    return table


_POWERS: Final = _powers()


@lru_cache(maxsize=256)  # the parts of an upload are of one size
def _shift(length: int) -> int:
    """Return x^(8 · length)."""
    shift = _ONE
    for place in _POWERS:
        if length & 15:
            shift = _times(place[length & 15], shift)
        length >>= 4
    return shift


def combine_crc32c(first: int, second: int, second_length: int) -> int:
    """Return the CRC-32C of two runs of bytes joined, the second *second_length* bytes long.

    Raises ValueError for a length that is negative or 2^64 and more.
    """
    if not 0 <= second_length < 1 << 64:
        raise ValueError(f"not a length: {second_length}")
    return _times(first, _shift(second_length)) ^ second
