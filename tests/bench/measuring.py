"""Works at sizes that a test has time for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.bench import WORKS, Process, Result, Sizes, Source, discover, measure
from fileloft_fast.bench.dialects import TUS

if TYPE_CHECKING:
    from fileloft_fast.bench.dialects import Dialect
    from tests.endpoint import Endpoint

KIB: Final = 1024
SOURCE_BYTES: Final = 2 * 1024 * KIB  # less than a body has, so that it begins again
SIZES: Final = Sizes(
    size_bytes=3 * 1024 * KIB + 5,
    streams=3,
    chunk_bytes=256 * KIB,
    small_bytes=100,
    small_count=200,
    connections=8,
    resumes=3,
    heads=4,
    slow_connections=20,
    slow_piece_bytes=100,
    slow_interval_s=0.02,
    slow_s=0.3,
    timeout_s=10,
)


def url_of(endpoint: Endpoint) -> str:
    """Return where *endpoint* creates uploads."""
    host, port = endpoint.server.address
    return f"http://{host}:{port}{endpoint.base}"


def measured(
    endpoint: Endpoint,
    work: str,
    sizes: Sizes = SIZES,
    *,
    deletes: bool = False,
    dialect: Dialect = TUS,
) -> Result:
    """Run a work on *endpoint*, its process watched."""
    target = discover(url_of(endpoint), dialect=dialect)
    process = Process(endpoint.server.pid)
    with Source(SOURCE_BYTES) as source:
        return measure(WORKS[work], target, sizes, process=process, source=source, deletes=deletes)
