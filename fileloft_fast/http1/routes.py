"""Who answers where besides the service: other rooms, by the first segment of the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from fileloft_fast.http1.site import Answerer
    from fileloft_fast.model import Body, RequestHead, Response


class Routes:
    """An ``Answerer`` before others; put there only where there is another room than the uploads.

    *uploads* has what is below *base_path*, and answers for what could not be read. ``rooms`` are
    by first segment; the one named "" has ``/`` and what no other room has, *uploads* without it.
    """

    def __init__(self, base_path: str, uploads: Answerer, rooms: Mapping[str, Answerer]) -> None:
        self.rooms = rooms
        self._base_path = base_path
        self._uploads = uploads
        self._others = rooms.get("", uploads)

    def answer(self, head: RequestHead, body: Body) -> Awaitable[Response]:
        """Serve one request; see ``Answerer``."""
        path = head.path
        if path.startswith(self._base_path):
            return self._uploads.answer(head, body)
        room = self.rooms.get(first_segment(path), self._others)
        return room.answer(head, body)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; see ``Answerer``."""
        return self._uploads.failed(error, head)


def first_segment(path: str) -> str:
    """Return what stands between the first slash of *path* and the second, or its end."""
    end = path.find("/", 1)
    return path[1:] if end < 0 else path[1:end]
