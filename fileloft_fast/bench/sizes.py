"""How much of what each work does."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of all works; each uses what concerns it.

    ``size_bytes`` is what large, streams (all of them together), chunks and download move.
    ``rate`` > 0: so many small uploads a second are due, and latencies count from then.
    ``slow_s``: how long each slow client takes, a piece each interval.
    """

    size_bytes: int = GIB
    streams: int = 8
    chunk_bytes: int = 8 * MIB
    checksum: str = ""
    small_bytes: int = 4 * KIB
    small_count: int = 10_000
    connections: int = 32
    rate: float = 0.0
    resumes: int = 20
    heads: int = 10
    resume_s: float = 20.0
    slow_connections: int = 1000
    slow_piece_bytes: int = KIB
    slow_interval_s: float = 0.05
    slow_s: float = 10.0
    threads: int = 1
    timeout_s: float = 60.0

    def as_numbers(self) -> dict[str, int | float]:
        """Return them by name; the checksum's name is left to the result of its work."""
        return {name: size for name, size in asdict(self).items() if not isinstance(size, str)}
