"""How fast each checksum is, by the size of what is hashed, and what it costs to keep one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.dataplane import ALGORITHMS, Digest, digest_of

if TYPE_CHECKING:
    from benchmarks.micro.paired import Paired

BLOCK: Final = bytes(range(256)) * 4096
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


@pytest.mark.parametrize(
    "algorithm",
    [pytest.param(each, marks=pytest.mark.yardstick(each)) for each in ("sha256", "sha512")],
)
def test_a_running_digest(paired: Paired, algorithm: str) -> None:
    running = Digest(algorithm)
    paired(running.update, BLOCK)
    running.reset()
    running.update(BLOCK)
    assert running.digest() == digest_of(algorithm, BLOCK)


@pytest.mark.yardstick("sha256")
def test_two_digests_in_one_pass(paired: Paired) -> None:
    whole = Digest("sha256")
    paired(Digest("sha256", also=whole).update, BLOCK)
    assert whole.digest() != Digest("sha256").digest()


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_state_is_kept_and_restored(paired: Paired, algorithm: str) -> None:
    running = Digest(algorithm)
    running.update(BLOCK[:1001])

    def keep() -> bytes:
        return Digest.restored(algorithm, running.state()).digest()

    assert paired(keep) == digest_of(algorithm, BLOCK[:1001])
