"""post-receive: how far an upload is, told now and then while its bytes arrive."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import FileloftError, UploadStoppedError
from fileloft_fast.hooks.describe import describe
from fileloft_fast.hooks.verdict import answer_of, merge
from fileloft_fast.model import Offset
from fileloft_fast.observe.log import fields

if TYPE_CHECKING:
    from fileloft_fast.hooks.asking import Asking
    from fileloft_fast.hooks.describe import Places
    from fileloft_fast.model import RequestHead, UploadId, UploadInfo

log = logging.getLogger(__name__)

_REMEMBERED: Final = 10_000
_AT_ONCE: Final = 16
"""Uploads that are told of at a time: a slow hook must have room for what it is asked."""


class Progress:
    """Tells *asking*'s hooks of each upload at most once in *interval_s*, over all its requests."""

    def __init__(self, asking: Asking, places: Places, *, interval_s: float) -> None:
        self._asking = asking
        self._places = places
        self._interval_s = interval_s
        self._told_at: OrderedDict[UploadId, float] = OrderedDict()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def watched(
        self,
        head: RequestHead,
        info: UploadInfo,
        received: Callable[[], int],
        stop: Callable[[Exception], None],
    ) -> AsyncIterator[None]:
        """Tell of *info* while the block runs, which has *received* so many bytes.

        *stop* gets an UploadStoppedError where a hook wants the upload stopped.
        """
        telling = asyncio.get_running_loop().create_task(self._tell(head, info, received, stop))
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell(
        self,
        head: RequestHead,
        info: UploadInfo,
        received: Callable[[], int],
        stop: Callable[[Exception], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        told = info.offset
        while True:
            due_at = self._told_at.setdefault(info.id, loop.time()) + self._interval_s
            await asyncio.sleep(max(0.0, due_at - loop.time()))
            async with self._turns:
                self._note(info.id, loop.time())
                offset = Offset(info.offset + received())
                if offset == told:
                    continue
                told = offset
                stopped = await self._ask(head, replace(info, offset=offset))
            if stopped is not None:
                log.info("upload stopped by a hook", extra=fields(id=info.id))
                stop(stopped)
                return

    async def _ask(self, head: RequestHead, info: UploadInfo) -> UploadStoppedError | None:
        request = describe(HookEvent.POST_RECEIVE, head, info, self._places)
        try:
            said = await self._asking.ask(HookEvent.POST_RECEIVE, request, again=False)
            answer = merge(answer_of(each) for each in said)
        except FileloftError as error:  # told again soon enough
            log.info("post-receive not told", extra=fields(id=info.id, error=error))
            return None
        if not any(each.stop_upload for each in said):
            return None
        return UploadStoppedError(
            "upload has been stopped by server",
            answer_status=answer.status,
            answer_body=answer.body,
            answer_fields=answer.fields,
        )

    def _note(self, upload: UploadId, now: float) -> None:
        self._told_at[upload] = now
        self._told_at.move_to_end(upload)
        while len(self._told_at) > _REMEMBERED:
            self._told_at.popitem(last=False)
