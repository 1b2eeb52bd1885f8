"""What every work is given: the server, a connection to prepare and check by, and the clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench.failure import NotOfferedError, RefusedError
from fileloft_fast.bench.latency import latency_of
from fileloft_fast.bench.watching import Silent
from fileloft_fast.dataplane import load as native
from fileloft_fast.model import Capability

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from fileloft_fast.bench.clock import Clock
    from fileloft_fast.bench.results import Latency
    from fileloft_fast.bench.sizes import Sizes
    from fileloft_fast.bench.source import Source
    from fileloft_fast.bench.target import Target
    from fileloft_fast.bench.watching import Progress, Tell
    from fileloft_fast.bench.wire import Answer, Client

_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a work did, beside what its clock says; the fields are those of ``Result``."""

    done: str
    units: int
    bytes: int = 0
    latency: Latency | None = None
    parts: Mapping[str, Latency | None] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """One work on one server. Blocks; the main thread only waits, so that Ctrl-C ends a load.

    ``made`` has the uploads that were made and their bytes, ``unnamed`` those of which nobody
    knows the path.
    """

    target: Target
    sizes: Sizes
    source: Source
    client: Client
    clock: Clock
    progress: Progress = field(default_factory=Silent)
    title: str = ""
    notes: list[str] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    unnamed: list[int] = field(default_factory=list)

    # -- requests --------------------------------------------------------------------------------

    def head(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        length: int | None = None,
    ) -> bytes:
        """Return the bytes of a request's head; *length* is the body's, None where it has none."""
        wanted = {"Host": self.target.host, **self.target.always, **(fields or {})}
        if length is not None:
            wanted["Content-Length"] = str(length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def patch(  # noqa: PLR0913 - what is left out has a meaning
        self,
        path: str,
        offset: int,
        length: int,
        fields: Mapping[str, str] | None = None,
        *,
        ends: bool = True,
        pace: tuple[int, float] = (0, 0.0),
    ) -> native.Step:
        """Return a PATCH of the bytes of the source from *offset*; *pace* is bytes and seconds.

        *ends*: the upload is whole after it.
        """
        dialect = self.target.dialect
        wanted = {**dialect.append(offset, ends=ends), **(fields or {})}
        return native.Step(
            self.head("PATCH", path, wanted, length),
            dialect.status(ends=ends),
            file=self.source.fd,
            start=offset % self.source.size,
            length=length,
            piece_bytes=pace[0],
            interval_s=pace[1],
        )

    def chunk(
        self,
        path: str,
        offset: int,
        most: int,
        size: int,
        fields: Mapping[str, str] | None = None,
    ) -> native.Step:
        """Return a PATCH of at most *most* bytes from *offset* of an upload that has *size*."""
        length = min(most, size - offset)
        return self.patch(path, offset, length, fields, ends=offset + length == size)

    def create(self, length: int) -> str:
        """Create an upload and return its path. Raises RefusedError and NotOfferedError."""
        if not self.target.may(Capability.CREATION):
            raise NotOfferedError("creation is not offered")
        answer = self.ask("POST", self.target.path, self.target.dialect.creation(length))
        if answer.status != 201 or not answer.path:
            raise RefusedError(f"POST: {answer.status}", f"POST: {answer.said()}")
        self.made[answer.path] = 0
        return answer.path

    def append(self, path: str, offset: int, body: bytes) -> Answer:
        """PATCH *body*, the rest of an upload, by hand. Raises RefusedError: no answer came."""
        return self.ask("PATCH", path, self.target.dialect.append(offset, ends=True), body)

    def ask(
        self, method: str, path: str, fields: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Ask something by hand. Raises RefusedError where no answer comes."""
        try:
            return self.client.ask(method, path, fields, body)
        except OSError as error:
            raise RefusedError(f"{method}: no answer", f"{method}: {error}") from error

    def verify(self, path: str, offset: int) -> bool:
        """Ask for an upload's offset, and count a failure where it is another."""
        try:
            answer = self.ask("HEAD", path)
        except RefusedError as wrong:
            self.clock.fail(f"check: {wrong}", wrong.said)
            return False
        if answer.status not in {200, 204}:
            self.clock.fail(f"check: HEAD {answer.status}", f"HEAD {path}: {answer.said()}")
            return False
        self.made[path] = answer.offset or 0
        if answer.offset != offset:
            said = f"HEAD {path}: offset {answer.offset} instead of {offset}"
            self.clock.fail("check: offset", said)
            return False
        return True

    # -- sizes and notes -------------------------------------------------------------------------

    def fit(self, size: int) -> int:
        """Return *size*, or the most that an upload may have, and note that."""
        most = self.target.offers.max_size
        if most is None or size <= most:
            return size
        largest = self.target.dialect.largest
        self.note(f"uploads of {most} bytes, the server's {largest}, instead of {size}")
        return most

    def note(self, text: str) -> None:
        """Keep what a reader must know beside the figures; once."""
        if text not in self.notes:
            self.notes.append(text)

    # -- loads -----------------------------------------------------------------------------------

    def watch(self, total: int, unit: str) -> AbstractContextManager[Tell | None]:
        """Return a context whose value is told how much is done, None where nobody looks."""
        return self.progress.watch(self.title, total, unit)

    def plan(
        self,
        scripts: Sequence[Sequence[native.Step]],
        *,
        units: int,
        connections: int,
        rate: float = 0.0,
    ) -> native.Load:
        """Return a load that is not begun yet. Raises RefusedError."""
        try:
            return native.Load(
                self.target.address,
                scripts,
                units=units,
                connections=connections,
                rate=rate,
                threads=min(self.sizes.threads, connections),
                timeout_s=self.sizes.timeout_s,
            )
        except OSError as error:
            raise RefusedError("load", str(error)) from error

    def run(
        self,
        load: native.Load,
        total: int,
        unit: str,
        look: Callable[[native.Load], object] | None = None,
    ) -> native.Load:
        """Run *load* by the clock; a bar follows it to *total* bytes or units.

        *look* is called with it ten times a second. Raises RefusedError where it cannot begin, or
        the server ends.
        """

        def looked() -> None:
            if tell:
                self._tell(load, tell, unit)
            if look:
                look(load)

        with self.clock.run(), self.watch(total, unit) as tell:
            self._run(load, looked if tell or look else None)
        self.clock.seconds = load.seconds  # without the opening of connections
        self.count_failures(load)
        return load

    def run_aside(self, load: native.Load) -> native.Load:
        """Run *load* as a part of what the work has the clock for, or to prepare it."""
        self._run(load, None)
        return load

    def count_failures(self, load: native.Load) -> None:
        """Count what failed in *load*."""
        for what, times in load.failures.items():
            head = load.first_failure.partition(b"\r\n\r\n")[0]
            self.clock.fail(what, head.decode("utf-8", "replace").strip(), times)

    def _run(self, load: native.Load, look: Callable[[], None] | None) -> None:
        try:
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(load.run)
                try:
                    _wait(running, look)
                except BaseException:
                    load.cancel()
                    raise
                running.result()
        except OSError as error:
            raise RefusedError("load", str(error)) from error

    @staticmethod
    def _tell(load: native.Load, tell: Tell, unit: str) -> None:
        tell(load.units_done if unit != "B" else load.bytes_sent + load.bytes_received)

    # -- afterwards ------------------------------------------------------------------------------

    def delete(self) -> None:
        """Terminate what the work made and has the path of. Raises RefusedError."""
        for path in list(self.made):
            answer = self.ask("DELETE", path)
            if answer.status == 204:
                del self.made[path]
            else:
                self.clock.fail(f"DELETE: {answer.status}", f"DELETE {path}: {answer.said()}")


def _wait(running: Future[None], look: Callable[[], None] | None) -> None:
    """Wait for the end; *look* is called ten times a second."""
    while wait([running], None if look is None else _LOOK_S).not_done:
        if look is not None:
            look()


def steps_latency(load: native.Load, steps: Iterable[int]) -> Latency | None:
    """Return the latencies of several steps as one."""
    together = native.Histogram()
    for step in steps:
        together.add(load.histogram(step))
    return latency_of(together)
