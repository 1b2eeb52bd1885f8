"""``bench``: measure, print the table, write the files."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileloft_fast.bench import (
    WORKS,
    BenchError,
    Process,
    Report,
    Result,
    Sizes,
    Source,
    describe_machine,
    discover,
    encode_report,
    launched,
    measure,
    render_report,
)
from fileloft_fast.bench.dialects import DIALECTS
from fileloft_fast.bench.plots import load_figure, write_plots
from fileloft_fast.bench.redact import redact
from fileloft_fast.bench.target import parse_field, parse_target
from fileloft_fast.bench.watching import Silent
from fileloft_fast.cli.progress import Bars

if TYPE_CHECKING:
    from argparse import Namespace

_OTHER_FILES: Final = 64
_MOST_CHUNKS: Final = 100_000


def run(wanted: Namespace) -> int:
    """Measure what *wanted* says; return 0, 1 where anything failed, 2 where nothing could be."""
    try:
        report = _measure(wanted)
        page = render_report(report)
        if not wanted.quiet:
            sys.stdout.write(f"{page}\n")
        _write(wanted, report, page)
    except (BenchError, OSError) as wrong:
        sys.stderr.write(f"fileloft-fast: {wrong}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("fileloft-fast: interrupted\n")
        return 130
    return 1 if report.failed else 0


def _measure(wanted: Namespace) -> Report:
    """Run every work in each round. Raises BenchError before anything is sent, or where none is."""
    sizes = _sizes(wanted)
    fields = _fields(wanted)
    _ensure_possible(wanted, sizes)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with ExitStack() as closing:
        pid = wanted.pid
        if wanted.server_command is not None:
            pid = closing.enter_context(launched(wanted.server_command, wanted.url))
        process = None if pid is None else Process(pid)
        target = discover(
            wanted.url, fields, dialect=DIALECTS[wanted.protocol], timeout_s=sizes.timeout_s
        )
        source = closing.enter_context(Source())
        progress = Bars() if sys.stderr.isatty() and not wanted.quiet else Silent()
        directory = wanted.data_dir or (process.directory() if process else "")
        results: list[Result] = [
            measure(
                WORKS[name],
                target,
                sizes,
                process=process,
                progress=progress,
                source=source,
                deletes=wanted.delete,
                turn=turn,
            )
            for turn in range(1, wanted.rounds + 1)
            for name in wanted.only
        ]
        return Report(
            at=at,
            command=("fileloft-fast", *_redacted(wanted)),
            url=target.url,
            offers=target.offers,
            machine=describe_machine(directory),
            sizes=sizes.as_numbers(),
            rounds=wanted.rounds,
            results=tuple(results),
        )


def _write(wanted: Namespace, report: Report, page: str) -> None:
    if wanted.json is not None:
        wanted.json.write_bytes(encode_report(report))
    if wanted.markdown is not None:
        wanted.markdown.write_text(f"{page}\n", "utf-8")
    if wanted.plots is not None:
        write_plots(report, wanted.plots)


def _sizes(wanted: Namespace) -> Sizes:
    return Sizes(
        size_bytes=wanted.size,
        streams=wanted.streams,
        chunk_bytes=wanted.chunk,
        checksum=wanted.checksum.lower(),
        small_bytes=wanted.small_size,
        small_count=wanted.small_count,
        connections=wanted.connections,
        rate=wanted.rate,
        slow_connections=wanted.slow_connections,
        slow_s=wanted.slow_time,
        threads=wanted.threads,
        timeout_s=wanted.timeout,
    )


def _fields(wanted: Namespace) -> dict[str, str]:
    """Return what every request says besides. Raises BenchError, OSError."""
    given = list(wanted.header)
    if wanted.token is not None:
        token = wanted.token
        if token.startswith("@"):
            token = Path(token[1:]).read_text("ascii").strip()
        given.append(f"Authorization: Bearer {token}")
    try:
        return dict(parse_field(text) for text in given)
    except ValueError as wrong:
        raise BenchError(f"--header, --token: {wrong}") from None


def _redacted(wanted: Namespace) -> tuple[str, ...]:
    token = wanted.token or ""
    return redact(
        wanted.words,
        token="" if token.startswith("@") else token,
        fields=wanted.header,
        command=wanted.server_command or "",
    )


def _ensure_possible(wanted: Namespace, sizes: Sizes) -> None:
    """Raise BenchError for what would fail later on; nothing has been sent yet."""
    parse_target(wanted.url)
    if -(-sizes.size_bytes // sizes.chunk_bytes) > _MOST_CHUNKS:
        raise BenchError(f"--chunk: would be more than {_MOST_CHUNKS} chunks of --size")
    if wanted.plots is not None:
        load_figure()
    for path in filter(None, (wanted.json, wanted.markdown)):
        if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
            raise BenchError(f"{path}: cannot be written")
    most = {"small": sizes.connections, "slow": sizes.slow_connections, "streams": sizes.streams}
    _ensure_descriptors(max((most.get(name, 1) for name in wanted.only), default=1))


def _ensure_descriptors(connections: int) -> None:
    """Raise the limit of open files as far as it goes. Raises BenchError where it is too low."""
    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise BenchError(f"{connections} connections: ulimit -n allows {soft} open files")
