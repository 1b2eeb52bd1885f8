"""One work as a picture: bars and their spread, in SVG that is the same to the byte each time.

By hand, because a plotting library draws the same figures differently in each of its versions, and
a test compares what is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from benchmarks.compare.record import maybe_spread
from benchmarks.compare.table import LIMITS, format_spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.compare.record import Record
    from benchmarks.compare.works import Work
    from fileloft_fast.bench.summary import Spread

_LEFT: Final = 210  # where bars begin: names are to the left
_BAR: Final = 330  # what the longest bar and its whisker take
_RIGHT: Final = 200  # the figures
_LINE: Final = 26
_TOP: Final = 44
_OURS: Final = "#3f51b5"
_PEER: Final = "#9e9e9e"
_LIMIT: Final = "#bcaaa4"


def render_chart(record: Record, work: Work) -> str:
    """Return the work's first figure: a bar a server, the median; a whisker from least to most."""
    figure = work.headline
    found = {
        server.name: spread
        for server in record.servers
        if (spread := maybe_spread(record, work.name, server.name, figure.key)) is not None
    }
    wide, high = _LEFT + _BAR + _RIGHT, _TOP + _LINE * len(found) + 10
    most = max((spread.most for spread in found.values()), default=0) or 1
    better = "more" if figure.more_is_better else "less"
    title = escape(f"{work.title}: {figure.title} ({better} is better)")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}"',
        f'viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="13" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{wide}" height="{high}" fill="#fff"/>',
        f'<text x="10" y="24" font-weight="bold">{title}</text>',
    ]
    for row, (name, spread) in enumerate(found.items()):
        told = format_spread(spread, figure.digits)
        lines.extend(_bar(_TOP + row * _LINE, name, spread, _BAR / most, told))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _bar(top: int, name: str, spread: Spread, scale: float, told: str) -> Iterator[str]:
    middle, text = top + _LINE // 2 - 3, top + _LINE // 2 + 2
    least, most = (_LEFT + value * scale for value in (spread.least, spread.most))
    yield f'<text x="{_LEFT - 8}" y="{text}" text-anchor="end">{escape(name)}</text>'
    yield (
        f'<rect x="{_LEFT}" y="{top}" width="{spread.median * scale:.1f}" height="{_LINE - 8}"'
        f' fill="{_colour(name)}"/>'
    )
    yield (
        f'<path d="M{least:.1f} {middle}H{most:.1f}M{least:.1f} {middle - 4}v8M{most:.1f}'
        f' {middle - 4}v8" stroke="#000" fill="none"/>'
    )
    yield f'<text x="{max(most, _LEFT) + 8:.1f}" y="{text}">{escape(told)}</text>'


def _colour(name: str) -> str:
    if name in LIMITS:
        return _LIMIT
    return _OURS if name.startswith("ours") else _PEER
