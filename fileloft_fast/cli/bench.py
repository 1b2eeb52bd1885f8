"""``bench``: its arguments; what they start is in ``benching.py``, loaded when it is asked for."""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from fileloft_fast.cli.arguments import parse_duration, typed
from fileloft_fast.config.values import parse_size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Mapping

T = TypeVar("T")

PROTOCOLS: Final = ("tus", "ietf")
"""What the bench speaks; a test sees to it that these are all."""

WORK_NAMES: Final = ("large", "streams", "chunks", "download", "small", "resume", "slow")
"""The works in their order; a test sees to it that they are those of the bench."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what is measured, how much of it, whose processes, and where the results go."""
    parser.description = (
        "Load any server of resumable uploads and say what it does and costs. Uploads are left on "
        "the server unless --delete is given. The exit status is 1 where anything failed."
    )
    parser.add_argument("url", metavar="URL", help="the creation URL: http://127.0.0.1:8080/files/")
    _add_works(parser)
    _add_server(parser)
    _add_results(parser)


def bench(wanted: Namespace, _env: Mapping[str, str]) -> int:
    """Measure and return the exit status. Blocks."""
    run = import_module("fileloft_fast.cli.benching").run
    return cast("Callable[[Namespace], int]", run)(wanted)


def _add_works(parser: ArgumentParser) -> None:
    works = parser.add_argument_group("works")
    works.add_argument(
        "--only", type=typed(_works), default=WORK_NAMES, metavar="WORK,…",
        help=f"of {', '.join(WORK_NAMES)}; all where unset",
    )  # fmt: skip
    works.add_argument(
        "--protocol", choices=PROTOCOLS, default="tus",
        help="ietf: Resumable Uploads for HTTP, interop version 8 (tus)",
    )  # fmt: skip
    works.add_argument("--rounds", type=typed(_count), default=1, help="of all works (1)")
    size, count = typed(_size), typed(_count)
    works.add_argument(
        "--size", type=size, default=1 << 30, help="of large, streams, chunks, download (1G)"
    )
    works.add_argument("--streams", type=count, default=8, help="uploads side by side (8)")
    works.add_argument("--chunk", type=size, default=8 << 20, help="of streams and chunks (8M)")
    works.add_argument("--checksum", default="", help="algorithm; else sha1, or what is offered")
    works.add_argument("--small-size", type=size, default=4096, help="of each upload (4096)")
    works.add_argument("--small-count", type=count, default=10_000, help="uploads (10000)")
    works.add_argument("--connections", type=count, default=32, help="of small (32)")
    works.add_argument(
        "--rate", type=typed(_rate), default=0.0, metavar="N",
        help="small uploads due each second, latencies counted from then; unset: as many as go",
    )  # fmt: skip
    works.add_argument("--slow-connections", type=count, default=1000, help="slow clients (1000)")
    works.add_argument(
        "--slow-time", type=typed(parse_duration), default=10.0, metavar="TIME",
        help="how long each slow client takes, a KiB each 50 ms (10s)",
    )  # fmt: skip
    works.add_argument("--threads", type=count, default=1, help="of the client, at most (1)")
    works.add_argument(
        "--timeout", type=typed(parse_duration), default=60.0, metavar="TIME",
        help="after which a request that does not go on has failed (60s)",
    )  # fmt: skip
    works.add_argument(
        "--delete", action="store_true", help="terminate what was uploaded, where that is offered"
    )


def _add_server(parser: ArgumentParser) -> None:
    server = parser.add_argument_group("server")
    whose = server.add_mutually_exclusive_group()
    whose.add_argument("--pid", type=typed(_count), help="its process, with its children")
    whose.add_argument(
        "--command", dest="server_command", metavar="COMMAND",
        help="what starts it, without a shell; ended by SIGTERM",
    )  # fmt: skip
    server.add_argument("--data-dir", metavar="DIR", help="where it keeps uploads, to be told")
    server.add_argument("--token", help="sent as Authorization: Bearer; @FILE reads it from there")
    server.add_argument(
        "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="sent with every request; may be repeated",
    )  # fmt: skip


def _add_results(parser: ArgumentParser) -> None:
    results = parser.add_argument_group("results")
    results.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    results.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    results.add_argument("--plots", type=Path, metavar="DIR", help="write plots, SVG and PNG")
    results.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _works(text: str) -> tuple[str, ...]:
    words = [word.strip() for word in text.split(",")]
    if not set(words) <= set(WORK_NAMES):
        raise ValueError(f"must be of {', '.join(WORK_NAMES)}, separated by commas")
    return tuple(name for name in WORK_NAMES if name in words)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 10_000_000:
        raise ValueError("must be a number from 1 to 10000000")
    return int(text)


def _size(text: str) -> int:
    size = parse_size(text)
    if not size:
        raise ValueError("must be at least a byte")
    return size


def _rate(text: str) -> float:
    rate = float(text)
    if not math.isfinite(rate) or rate <= 0:
        raise ValueError("must be more than 0")
    return rate
