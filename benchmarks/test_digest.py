"""How fast each checksum is over a chunk of 8 MiB: make bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from fileloft_fast.dataplane import ALGORITHMS, digest_of, digest_size

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

CHUNK: Final = bytes(range(256)) * 32768


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_digest_of_a_chunk(benchmark: BenchmarkFixture, algorithm: str) -> None:
    """The digest is whole; the time is the report."""
    digest = benchmark(digest_of, algorithm, CHUNK)
    assert len(digest) == digest_size(algorithm)
