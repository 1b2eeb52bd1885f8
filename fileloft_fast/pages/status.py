"""The status page as operations: files, which tell nothing, and events, which need a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fileloft_fast.errors import FileloftError
from fileloft_fast.model import EndlessStream, RequestHead, Response
from fileloft_fast.pages.served import GUARDED, file_operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from fileloft_fast.observe.operations import Operation
    from fileloft_fast.pages.events import Broadcast
    from fileloft_fast.pages.gate import Gate

STATUS_PATH: Final = "/ui/status"
EVENTS_PATH: Final = f"{STATUS_PATH}/events"

_FILES: Final = (
    *("base.css", "status.css", "status.js", "events.js", "plot.js", "words.js", "icon.svg"),
)
_KIND: Final = (
    ("Content-Type", "text/event-stream; charset=utf-8"),
    ("X-Accel-Buffering", "no"),  # nginx would keep events back until there are many
)
_COMMON: Final = (*GUARDED, ("Cache-Control", "no-store"))


def status_operations(
    gate: Gate,
    broadcast: Broadcast,
    failed: Callable[[Exception, RequestHead | None], Response],
) -> dict[str, Operation]:
    """Return what serves the page and its events, by path. Reads its files."""

    async def events(head: RequestHead) -> Response:
        try:
            until = await gate.admit(head)
            broadcast.check_room()
        except FileloftError as error:
            return failed(error, head)
        return Response(200, _KIND, EndlessStream(broadcast.listen(until)), common=_COMMON)

    files = {f"{STATUS_PATH}/{name}": file_operation(name) for name in _FILES}
    return {STATUS_PATH: file_operation("status.html"), **files, EVENTS_PATH: events}
