"""A record as tables of Markdown: all servers at a glance, and one table for each work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.compare.record import maybe_ratio, maybe_spread
from benchmarks.compare.works import WORKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.compare.record import Record, Server
    from benchmarks.compare.works import Figure, Work
    from fileloft_fast.bench.summary import Spread

NOTHING: Final = "\N{EN DASH}"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
LIMIT: Final = "limit (C)"
SYNCED_LIMIT: Final = "limit (C), synced"
LIMITS: Final = (LIMIT, SYNCED_LIMIT)


def render_overview(record: Record) -> str:
    """Return medians alone: a row a figure, a column a server, the limit's last."""
    servers = [server for server in record.servers if server.name not in LIMITS]
    rows = [
        ["", *(server.name for server in servers), LIMIT],
        ["*synced before the answer*", *(server.sync for server in servers), NOTHING],
        ["*checksums*", *(server.checksum for server in servers), NOTHING],
    ]
    for work in WORKS:
        for figure in work.figures:
            told = [_median(record, work, server.name, figure) for server in servers]
            if set(told) != {NOTHING}:
                first = figure is work.headline
                name = f"{work.title}, **{figure.title}**" if first else f"… {figure.title}"
                rows.append([name, *told, _limits(record, work, figure)])
    return render_rows(rows)


def render_work(record: Record, work: Work) -> str:
    """Return one work: a row a server with what it promises, and its share of the limit last."""
    servers = [one for one in record.servers if _took_part(record, work, one)]
    kept = [figure for figure in work.figures if _told(record, work, figure, servers)]
    rows = [["server", "synced", "checksums", *(one.title for one in kept), f"{TIMES} limit"]]
    for server in servers:
        figures = [
            format_spread(maybe_spread(record, work.name, server.name, one.key), one.digits)
            for one in kept
        ]
        share = _share_of_limit(record, work, server)
        rows.append([server.name, server.sync, server.checksum, *figures, share])
    return render_rows(rows)


def render_rows(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first row is its head; the first column is text, the others are too."""
    head, *body = rows
    ruled = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(row)} |" for row in ruled) + "\n"


def format_spread(spread: Spread | None, digits: int) -> str:
    """Return the median, and the least and the most where they differ from it as printed."""
    if spread is None:
        return NOTHING
    median, least, most = (
        f"{value:,.{digits}f}" for value in (spread.median, spread.least, spread.most)
    )
    return median if least == most else f"{median} ({least} to {most})"


def _median(record: Record, work: Work, server: str, figure: Figure) -> str:
    spread = maybe_spread(record, work.name, server, figure.key)
    return NOTHING if spread is None else f"{spread.median:,.{figure.digits}f}"


def _limits(record: Record, work: Work, figure: Figure) -> str:
    """Return the limit's figure; both, where there is one for durable uploads too."""
    plain = _median(record, work, LIMIT, figure)
    synced = _median(record, work, SYNCED_LIMIT, figure)
    return plain if synced == NOTHING else f"{plain}; synced {synced}"


def _share_of_limit(record: Record, work: Work, server: Server) -> str:
    """Return the ratio to the limit that syncs where the server does, and there is one."""
    if server.name in LIMITS:
        return NOTHING
    limit = LIMIT
    if server.sync.startswith("yes") and _has(record, work, SYNCED_LIMIT):
        limit = SYNCED_LIMIT
    key = work.headline.key
    ratio = maybe_ratio(record, work.name, (server.name, key), (limit, key))
    return NOTHING if ratio is None else f"{ratio:.2f}"


def _has(record: Record, work: Work, server: str) -> bool:
    return maybe_spread(record, work.name, server, work.headline.key) is not None


def _took_part(record: Record, work: Work, server: Server) -> bool:
    return any(
        sample.work == work.name and sample.server == server.name for sample in record.samples
    )


def _told(record: Record, work: Work, figure: Figure, servers: Iterable[Server]) -> bool:
    return any(maybe_spread(record, work.name, one.name, figure.key) for one in servers)
