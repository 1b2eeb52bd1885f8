"""What can be measured: a row a work, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.works.chunks import chunks
from fileloft_fast.bench.works.download import download
from fileloft_fast.bench.works.large import large
from fileloft_fast.bench.works.resume import resume
from fileloft_fast.bench.works.slow import slow
from fileloft_fast.bench.works.small import small
from fileloft_fast.bench.works.streams import streams

if TYPE_CHECKING:
    from fileloft_fast.bench.scene import Outcome, Scene

__all__ = ["WORKS", "Work"]


@dataclass(frozen=True, slots=True)
class Work:
    """One work: its name, what it does in a line, and what runs it."""

    name: str
    meaning: str
    run: Callable[[Scene], Outcome]


WORKS: Final = {
    work.name: work
    for work in (
        Work("large", "one large PATCH", large),
        Work("streams", "parallel uploads in chunks", streams),
        Work("chunks", "chunks with checksums", chunks),
        Work("download", "one large GET", download),
        Work("small", "many small uploads", small),
        Work("resume", "HEAD and PATCH beside a holder that has gone silent", resume),
        Work("slow", "uploads by the thousand that trickle", slow),
    )
}
"""The table of works, by name."""
