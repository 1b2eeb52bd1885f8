"""Digest fields (RFC 9530): what they say, in the engine's names of the algorithms.

An algorithm that is not known here is passed over, as section 2 wants it, and so is a wish that
makes no sense. But a digest of a known one that cannot be one is an error: who sent it wants the
bytes checked, and must not believe that they were (RFC 9651 section 4.2 allows either).
"""

from collections.abc import Mapping
from typing import Final

from fileloft_fast.errors import InvalidHeaderError
from fileloft_fast.model import Checksum
from fileloft_fast.resumable.headers import maybe_dictionary
from fileloft_fast.tus.digests import NAMES

ALGORITHMS: Final[Mapping[str, str]] = {theirs: ours for ours, theirs in NAMES.items()}
"""The engine's names of the algorithms, by those of RFC 9530."""

SIZES: Final[Mapping[str, int]] = {"sha256": 32, "sha512": 64}
"""The size of each digest in bytes, by the engine's names."""

_MOST_WANTED: Final = 10


def parse_digests(name: str, value: str) -> tuple[Checksum, ...]:
    """Return the digests of the field *name* that can be checked, in the order of ALGORITHMS.

    Raises InvalidHeaderError for what is no dictionary, and for a digest that can be none.
    """
    members = maybe_dictionary(value)
    if members is None:
        raise InvalidHeaderError(f"{name} is not a dictionary")
    digests = []
    for theirs, ours in ALGORITHMS.items():
        if theirs in members:
            digest = members[theirs]
            if not isinstance(digest, bytes) or len(digest) != SIZES[ours]:
                raise InvalidHeaderError(f"{name}: {theirs} has {SIZES[ours]} bytes")
            digests.append(Checksum(ours, digest))
    return tuple(digests)


def parse_wish(value: str) -> tuple[str, ...]:
    """Return the algorithms that ``Want-Repr-Digest`` asks for, the most wanted first.

    In the engine's names. 0 is not wanted (RFC 9530 section 4).
    """
    members = maybe_dictionary(value)
    if members is None:
        return ()
    wishes = []
    for theirs, ours in ALGORITHMS.items():
        weight = members.get(theirs)
        if type(weight) is int and 0 < weight <= _MOST_WANTED:
            wishes.append((-weight, ours))
    wishes.sort(key=lambda wish: wish[0])  # stable: of the same weight, as they stand above
    return tuple(ours for _, ours in wishes)
