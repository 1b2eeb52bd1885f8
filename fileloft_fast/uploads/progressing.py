"""Interim answers that say how far a body has come (IETF, 104 with ``Upload-Offset``).

What is told is a promise: so many bytes need not be sent again, whatever becomes of the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from fileloft_fast.model import Offset

if TYPE_CHECKING:
    from fileloft_fast.model import Body, Response, UploadInfo
    from fileloft_fast.uploads.locks import Hold

_INTERVAL_S: Final = 1.0
_LEAST_BYTES: Final = 8 * 1024 * 1024
"""Less is not worth an answer: it is sent again faster than it is asked for."""


class Telling:
    """Tells the client, while it runs, how many bytes *info* holds with those of *hold*.

    At most once a second, and not where *render* has nothing to say, or the client does not read.
    """

    def __init__(
        self,
        body: Body,
        info: UploadInfo,
        hold: Hold,
        render: Callable[[Offset], Response | None],
    ) -> None:
        self._body = body
        self._base = self._told = info.offset
        self._hold = hold
        self._render = render
        # A task for each body would be dearer.
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_INTERVAL_S, self._tell)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _tell(self) -> None:
        self._timer = self._loop.call_later(_INTERVAL_S, self._tell)
        offset = Offset(self._base + self._hold.received)
        if offset - self._told < _LEAST_BYTES:
            return
        interim = self._render(offset)
        if interim is not None and self._body.announce(interim):
            self._told = offset
