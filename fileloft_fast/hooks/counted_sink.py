"""A hook whose calls are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fileloft_fast.errors import RefusedByHookError

if TYPE_CHECKING:
    from fileloft_fast.config import HookEvent
    from fileloft_fast.hooks.sink import Call, Sink
    from fileloft_fast.hooks.wire import HookResponse
    from fileloft_fast.observe.board import Board


class CountedSink:
    """A ``Sink`` around another; each try counts, and a hook that says no has not failed."""

    def __init__(self, inner: Sink, board: Board) -> None:
        self._inner = inner
        self._board = board

    @property
    def name(self) -> str:
        """See ``Sink``."""
        return self._inner.name

    def wants(self, event: HookEvent) -> bool:
        """See ``Sink``."""
        return self._inner.wants(event)

    async def call(self, call: Call) -> HookResponse:
        """See ``Sink``."""
        self._board.add("tusd_hook_invocations_total", call.event.value)
        try:
            return await self._inner.call(call)
        except RefusedByHookError:
            raise
        except Exception:
            self._board.add("tusd_hook_errors_total", call.event.value)
            raise

    async def close(self) -> None:
        """See ``Sink``."""
        await self._inner.close()
