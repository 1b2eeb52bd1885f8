"""Python objects as hooks, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Protocol

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import HookFailedError, HookUnavailableError, RefusedByHookError
from fileloft_fast.hooks.wire import (
    NOTHING_SAID,
    HookRequest,
    HookResponse,
    response_of,
)
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.hooks.sink import Call

log = logging.getLogger(__name__)

_THREADS: Final = 16

Said = HookResponse | Mapping[str, Any] | None
"""What a hook may return: a response, tusd's JSON as a mapping, or nothing."""


class HookHandler(Protocol):
    """What ``FILELOFT_HOOKS`` names: an object, or a class that is called without arguments.

    Every method may be missing, and may be ``async``; one that is not runs in a thread. What it
    raises is a failure, but for ``RefusedByHookError``, which says no. A thread whose time is over
    cannot be ended: it goes on, and what it returns is dropped. Other methods do not count.
    """

    def pre_access(self, request: HookRequest) -> Said | Awaitable[Said]:
        """Before a request is served. ``RejectAccess`` refuses, ``CacheTTL`` remembers."""

    def pre_create(self, request: HookRequest) -> Said | Awaitable[Said]:
        """Before an upload is made. May reject or change it."""

    def post_create(self, request: HookRequest) -> Said | Awaitable[Said]:
        """After an upload was made."""

    def post_receive(self, request: HookRequest) -> Said | Awaitable[Said]:
        """While bytes arrive. May stop the upload."""

    def pre_finish(self, request: HookRequest) -> Said | Awaitable[Said]:
        """After every byte is stored, before that is answered. May change the answer."""

    def post_finish(self, request: HookRequest) -> Said | Awaitable[Said]:
        """After an upload is finished."""

    def pre_terminate(self, request: HookRequest) -> Said | Awaitable[Said]:
        """Before an upload is removed. May reject that."""

    def post_terminate(self, request: HookRequest) -> Said | Awaitable[Said]:
        """After an upload was removed."""

    def stored(self, request: HookRequest) -> Said | Awaitable[Said]:
        """After an upload's object is in its store."""


class PythonSink:
    """Calls the methods of *handler*, known as *name*."""

    def __init__(self, name: str, handler: object, *, timeout_s: float) -> None:
        self._name = f"python:{name}"
        self._timeout_s = timeout_s
        self._methods: dict[HookEvent, Callable[[HookRequest], Any]] = {}
        for event in HookEvent:
            method = getattr(handler, event.name.lower(), None)
            if callable(method):
                self._methods[event] = method
        self._places = asyncio.Semaphore(_THREADS)

    @property
    def name(self) -> str:
        """See ``Sink``."""
        return self._name

    def wants(self, event: HookEvent) -> bool:
        """See ``Sink``."""
        return event in self._methods

    async def call(self, call: Call) -> HookResponse:
        """See ``Sink``."""
        method = self._methods.get(call.event)
        if method is None:
            return NOTHING_SAID
        try:
            async with asyncio.timeout(self._timeout_s):
                return response_of(await self._result(method, call.parse()))
        except TimeoutError as error:
            raise HookUnavailableError("the hook took too long") from error
        except (RefusedByHookError, HookUnavailableError, HookFailedError):
            raise
        except Exception as error:
            log.exception("hook raised", extra=fields(hook=self._name, event=call.event.value))
            raise HookFailedError("the hook raised an exception") from error

    async def close(self) -> None:
        """See ``Sink``: a thread that hangs is left alone."""

    async def _result(self, method: Callable[[HookRequest], Any], request: HookRequest) -> object:
        if inspect.iscoroutinefunction(method):
            return await method(request)
        await self._places.acquire()
        said = await _in_thread(method, request, self._places.release)
        return await said if inspect.isawaitable(said) else said


def _in_thread(
    method: Callable[[HookRequest], Any], request: HookRequest, leave: Callable[[], None]
) -> asyncio.Future[Any]:
    """Call *method* in a thread that the process need not wait for; *leave* when it is over."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def end(said: object, error: BaseException | None) -> None:
        leave()
        if done.done():
            return
        if error is None:
            done.set_result(said)
        else:
            done.set_exception(error)

    def run() -> None:
        said, failure = None, None
        try:
            said = method(request)
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(end, said, failure)

    Thread(target=run, name="hook", daemon=True).start()
    return done
