"""Who is asked and told: what all kinds of hooks have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from fileloft_fast.errors import FileloftError, HookUnavailableError
from fileloft_fast.hooks.wire import parse_request

if TYPE_CHECKING:
    from fileloft_fast.config import HookEvent
    from fileloft_fast.hooks.wire import HookRequest, HookResponse

AGAIN_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class Call(Struct, frozen=True):
    """One message: the request rendered in *body*; *key* is the same at each try of one event."""

    event: HookEvent
    body: bytes
    key: str

    def parse(self) -> HookRequest:
        """Return the request, a new one each time: what one hook does to it is not the others'."""
        return parse_request(self.body)


class Sink(Protocol):
    """One hook: a URL, a folder of executables, a Python object."""

    @property
    def name(self) -> str:
        """Tells it from the others, also after a restart; holds no secret."""

    def wants(self, event: HookEvent) -> bool:
        """Whether it would do anything at *event*."""

    async def call(self, call: Call) -> HookResponse:
        """Deliver *call* once, and return what was answered.

        Raises HookUnavailableError where another try may do, RefusedByHookError where it said no
        by its own status, HookFailedError for any other failure.
        """

    async def close(self) -> None:
        """Let go of what is open; nothing is called any more."""


def may_try_again(error: FileloftError) -> bool:
    """Whether the same call may succeed in a moment."""
    return isinstance(error, HookUnavailableError)
