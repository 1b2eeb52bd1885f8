"""Calls of hooks are counted: each try, and those that failed; a no is no failure."""

from __future__ import annotations

import asyncio

import pytest

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import HookUnavailableError
from fileloft_fast.hooks.counted_sink import CountedSink
from fileloft_fast.hooks.sink import Call
from fileloft_fast.hooks.wire import HookResponse
from fileloft_fast.observe.board import Board
from fileloft_fast.observe.table import HOOK_TYPES


class Mouth:
    """Says what it was made with, or raises it."""

    name = "mouth"

    def __init__(self, said: HookResponse | Exception) -> None:
        self.said = said

    def wants(self, event: HookEvent) -> bool:
        return event is HookEvent.PRE_CREATE

    async def call(self, call: Call) -> HookResponse:  # noqa: ARG002
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def close(self) -> None: ...


def test_every_event_has_its_place_on_the_board() -> None:
    assert {event.value for event in HookEvent} == set(HOOK_TYPES)


def test_each_try_counts_and_those_that_fail() -> None:
    board, call = Board(), Call(HookEvent.PRE_CREATE, b"{}", "key")

    async def ask() -> None:
        assert await CountedSink(Mouth(HookResponse()), board).call(call) == HookResponse()
        for error in (HookUnavailableError("away"), ValueError("a bug")):
            with pytest.raises(type(error), match=str(error)):
                await CountedSink(Mouth(error), board).call(call)

    asyncio.run(ask())
    assert board.read("tusd_hook_invocations_total", "pre-create") == [3.0]
    assert board.read("tusd_hook_errors_total", "pre-create") == [2.0]
