"""How fast each checksum is, by the size of what is hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.dataplane import ALGORITHMS, Digest, digest_of

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired

SIZES: Final = {"4 KiB": 2**12, "64 KiB": 2**16, "1 MiB": 2**20, "8 MiB": 2**23}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "algorithm", [pytest.param(each, marks=pytest.mark.yardstick(each)) for each in ALGORITHMS]
)
def test_digest(paired: Paired, algorithm: str, size: str) -> None:
    data = bytes(range(256)) * (SIZES[size] // 256)
    pieces = Digest(algorithm)
    for start in range(0, len(data), 4096):
        pieces.update(data[start : start + 4096])
    assert paired(digest_of, algorithm, data) == pieces.digest()
