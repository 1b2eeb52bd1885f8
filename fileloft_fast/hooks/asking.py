"""Asks every hook about what is going to happen, and waits for what they say."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fileloft_fast.errors import (
    FileloftError,
    HookFailedError,
    HookUnavailableError,
    RefusedByHookError,
    ShuttingDownError,
)
from fileloft_fast.hooks.sink import Call, may_try_again
from fileloft_fast.hooks.verdict import checked
from fileloft_fast.hooks.wire import render_request
from fileloft_fast.model import AnswerChange
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.config import HookEvent
    from fileloft_fast.hooks.sink import Sink
    from fileloft_fast.hooks.wire import HookRequest, HookResponse

log = logging.getLogger(__name__)


class Asking:
    """Asks *sinks* in their order, one after another; each is tried *retry* times more."""

    def __init__(self, sinks: Sequence[Sink], *, retry: int, backoff_s: float) -> None:
        self._sinks = sinks
        self._retry = retry
        self._backoff_s = backoff_s
        self._running: set[asyncio.Task[HookResponse]] = set()
        self._halted = asyncio.Event()

    async def ask(
        self, event: HookEvent, request: HookRequest, *, again: bool = True
    ) -> list[HookResponse]:
        """Return what they say, up to the first that rejects; without *again* each is tried once.

        Raises RefusedByHookError, HookUnavailableError, HookFailedError, ShuttingDownError.
        """
        call = Call(event, render_request(request), secrets.token_hex(16))
        said: list[HookResponse] = []
        for sink in self._sinks:
            if not sink.wants(event):
                continue
            said.append(await self._until_halted(sink, call, self._retry if again else 0))
            if said[-1].reject_upload or said[-1].reject_termination or said[-1].reject_access:
                break
        return said

    def halt(self) -> None:
        """Let nobody wait any longer, nor any more: each ask fails with ShuttingDownError."""
        self._halted.set()
        for task in tuple(self._running):
            task.cancel()

    async def _until_halted(self, sink: Sink, call: Call, retry: int) -> HookResponse:
        if self._halted.is_set():
            raise ShuttingDownError("the server is stopping")
        task = asyncio.get_running_loop().create_task(self._try(sink, call, retry))
        self._running.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self._halted.is_set() and task.cancelled():
                raise ShuttingDownError("the server is stopping") from None
            task.cancel()
            raise
        finally:
            self._running.discard(task)

    async def _try(self, sink: Sink, call: Call, retry: int) -> HookResponse:
        for left in range(retry, -1, -1):
            try:
                return await sink.call(call)
            except RefusedByHookError as refusal:
                said = refusal.answer_status, refusal.answer_body, refusal.answer_fields
                refusal.answer_fields = checked(AnswerChange(*said)).fields
                raise
            except (HookUnavailableError, HookFailedError) as error:
                self._complain(sink, call, error)
                if not (left and may_try_again(error)):
                    raise
            except Exception as error:
                log.exception("hook failed", extra=fields(hook=sink.name, event=call.event.value))
                raise HookFailedError("the hook failed") from error
            await asyncio.sleep(self._backoff_s)
        raise AssertionError("the last try returns or raises")

    def _complain(self, sink: Sink, call: Call, error: FileloftError) -> None:
        upload = call.parse().event.upload.id
        log.warning(
            "hook failed",
            extra=fields(hook=sink.name, event=call.event.value, id=upload, error=error),
        )
