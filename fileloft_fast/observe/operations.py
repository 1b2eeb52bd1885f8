"""What operators and their machines ask: ``/metrics``, ``/healthz``, ``/readyz``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from fileloft_fast.model import RequestHead, Response

if TYPE_CHECKING:
    from fileloft_fast.observe.board import Board

METRICS_PATH: Final = "/metrics"
HEALTH_PATH: Final = "/healthz"
READY_PATH: Final = "/readyz"

LOOKS: Final = frozenset({"GET", "HEAD"})
"""The methods by which they are asked; whatever else comes to these paths is somebody else's."""

Operation: TypeAlias = Callable[[RequestHead], Awaitable[Response]]

_COMMON: Final = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
_JSON: Final = (("Content-Type", "application/json"),)


def health_operation() -> Operation:
    """Return what says that the loop turns: whoever gets an answer knows."""

    async def answer(_head: RequestHead) -> Response:
        return _json(200, {"status": "ok"})

    return answer


def ready_operation(reasons: Callable[[], Awaitable[Iterable[str]]]) -> Operation:
    """Return what says whether uploads should come here; *reasons* why not."""

    async def answer(_head: RequestHead) -> Response:
        wrong = list(await reasons())
        status = 503 if wrong else 200
        return _json(status, {"status": "unready" if wrong else "ready", "reasons": wrong})

    return answer


def metrics_operation(
    board: Board, build: Mapping[str, str], refresh: Callable[[], Awaitable[None]]
) -> Operation:
    """Return what shows *board*, after *refresh* has brought its gauges up to date.

    Rendered in a thread: it takes milliseconds in which others have their turn.
    """

    def render() -> tuple[bytes, str]:
        expose = import_module("fileloft_fast.observe.expose")
        return expose.render_board(board, build), expose.CONTENT_TYPE

    async def answer(_head: RequestHead) -> Response:
        await refresh()
        text, kind = await asyncio.get_running_loop().run_in_executor(None, render)
        return Response(200, (("Content-Type", kind),), text, common=_COMMON)

    return answer


def _json(status: int, said: object) -> Response:
    return Response(status, _JSON, msgspec.json.encode(said) + b"\n", common=_COMMON)
