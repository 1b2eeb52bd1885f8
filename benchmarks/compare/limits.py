"""The C programs that do the same with the fewest system calls: what the machine allows."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import peers
from benchmarks.compare.contenders import TusServer
from benchmarks.compare.figures import figures_of_files
from benchmarks.compare.record import Server
from benchmarks.compare.table import LIMIT, SYNCED_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.peers import Peer
    from fileloft_fast.bench.sizes import Sizes
    from fileloft_fast.bench.source import Source

UNSYNCED_THREADS: Final = 2
SYNCED_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """A server that splices or hashes, one thread a connection; and threads that make small files.

    Small files come of no connection: what HTTP costs is not in that limit.
    """

    server: Server
    works: frozenset[str]
    threads: int
    sync: str

    def measure(self, work: str, folder: Path, sizes: Sizes, source: Source) -> dict[str, float]:
        """Start the program that *work* wants."""
        if work == "small":
            data = folder / "data"
            data.mkdir()
            words = (peers.LIMIT / "files", data, sizes.small_count, self.threads, self.sync)
            return figures_of_files(peers.report(*words))
        mode = "sha1" if work == "chunks" else "splice"

        @contextmanager
        def launch(folder: Path) -> Iterator[Peer]:
            data = folder / "data"
            data.mkdir()
            with peers.limit(mode, data) as peer:
                yield peer

        return TusServer(self.server, launch).measure(work, folder, sizes, source)


def plan_limits() -> tuple[Limit, Limit]:
    """Return the limit of what is not synced, and the one for small files that are."""
    plain = Server(name=LIMIT, version="", sync="no", checksum="chunks: sha1")
    synced = Server(name=SYNCED_LIMIT, version="", sync="yes", checksum="no")
    works = frozenset({"large", "streams", "chunks", "download", "small"})
    return (
        Limit(plain, works, UNSYNCED_THREADS, "none"),
        Limit(synced, frozenset({"small"}), SYNCED_THREADS, "name"),
    )
