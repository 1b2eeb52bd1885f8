"""The same orchestration with hooks: asked before, told after. Not loaded where there are none."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Self

from msgspec.structs import replace

from fileloft_fast.config import HookEvent
from fileloft_fast.errors import FileloftError, UploadExistsError, UploadStoppedError
from fileloft_fast.hooks.hooks import NO_CHANGE
from fileloft_fast.hooks.verdict import merge
from fileloft_fast.resumable.wanted import Wanted
from fileloft_fast.tus.effects import (
    Append,
    Concatenate,
    Create,
    Download,
    Effect,
    Inspect,
    Options,
    Terminate,
)
from fileloft_fast.uploads.resuming import ResumingService

if TYPE_CHECKING:
    from fileloft_fast.hooks.hooks import Expecting, Hooks
    from fileloft_fast.model import AnswerChange, Body, RequestHead, Response, UploadId, UploadInfo
    from fileloft_fast.stores import Found
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.uploads.admitting import Serve
    from fileloft_fast.uploads.locks import Hold

_CREATED: Final = (HookEvent.POST_CREATE,)
_CREATED_AND_FINISHED: Final = (HookEvent.POST_CREATE, HookEvent.POST_FINISH)


class HookedService(ResumingService):
    """A ``Service`` that asks and tells hooks."""

    _hooks: Hooks
    _creating: dict[int, Expecting]

    def use(self, hooks: Hooks) -> Self:
        """Ask and tell *hooks* from now on; called before the first request."""
        self._hooks = hooks
        self._creating = {}  # what is expected of uploads that are made, by their requests
        if HookEvent.PRE_ACCESS in hooks.events:
            self._serve = {
                kind: serve if kind is Options else self._guarded(serve)
                for kind, serve in self._serve.items()
            }
        return self

    def _guarded(self, serve: Serve) -> Serve:
        async def guarded(head: RequestHead, effect: Effect, body: Body) -> Response:
            await self._check_seen(head, effect)
            joins = isinstance(effect, Concatenate)
            await self._hooks.admit(head, _uploads(effect), joins=joins)
            return await serve(head, effect, body)

        return guarded

    async def _check_seen(self, head: RequestHead, effect: Effect) -> None:
        """Raise, as if no hook was asked, where the token may not see what *effect* is about."""
        if self._access is None:
            return
        if isinstance(effect, Concatenate):
            await self._plan_join(head, effect)
        elif isinstance(effect, Download) and not self._access.owns(head, effect.id):
            await self._load(head, effect.id)

    async def _create(self, head: RequestHead, wanted: Create, body: Body) -> Response:
        await self._check_space(head)
        info, change = await self._ask(head, self._draft(head, wanted))
        may_finish = _may_be_whole(wanted)
        events = _CREATED_AND_FINISHED if may_finish else _CREATED
        async with await self._hooks.expecting(head, info, *events) as expecting:
            self._creating[id(head)] = expecting
            try:
                made = await self._make_counted(head, info, wanted, body)
            finally:
                del self._creating[id(head)]
            last = await self._settle(head, expecting, made)
        return self._answers.changed(self._answers.created(head, made), merge((change, last)))

    async def _make_counted(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> UploadInfo:
        try:
            return await super()._make_counted(head, info, wanted, body)
        except UploadExistsError:
            await self._count_again(info.id)
            raise

    async def _join_counted(
        self, head: RequestHead, info: UploadInfo, parts: list[Found]
    ) -> UploadInfo:
        try:
            return await super()._join_counted(head, info, parts)
        except UploadExistsError:
            await self._count_again(info.id)
            raise

    async def _count_again(self, upload: UploadId) -> None:
        """Count the upload that has the id a hook chose: it was taken for the refused one."""
        if self._access is not None:
            with contextlib.suppress(FileloftError):  # the next audit makes up for it
                self._access.recount((await self._store.load(upload)).info)

    async def _append(self, head: RequestHead, wanted: Append, body: Body) -> Response:
        async with self._locks.hold(wanted.id, body) as hold:
            found = await self._load(head, wanted.id)
            planned = await self._plan_append(head, found.info, wanted)
            may_finish = not found.info.complete and _may_fill(wanted, planned)
            final = replace(found.info, length=planned.length)
            events = (HookEvent.POST_FINISH,) if may_finish else ()
            change = NO_CHANGE
            async with await self._hooks.expecting(head, final, *events) as expecting:
                info = await self._add(head, found, wanted, planned, body, hold)
                if may_finish:
                    change = await self._settle(head, expecting, info)
            answer = self._answer_append(head, found.info, self._expiry.renewed(info))
            return self._answers.changed(answer, change)

    async def _concatenate(self, head: RequestHead, wanted: Concatenate, _body: Body) -> Response:
        await self._check_space(head)
        parts, info = await self._plan_join(head, wanted)
        info, change = await self._ask(head, info)
        async with await self._hooks.expecting(head, info, *_CREATED_AND_FINISHED) as expecting:
            info = await self._join_counted(head, info, parts)
            last = await self._settle(head, expecting, info)
        await self._clean_up(wanted)
        return self._answers.changed(self._answers.created(head, info), merge((change, last)))

    async def _terminate(self, head: RequestHead, wanted: Terminate, _body: Body) -> Response:
        async with self._locks.hold(wanted.id):
            info = (await self._load(head, wanted.id)).info
            change = await self._hooks.pre_terminate(head, info)
            await self._terminated(head, info)
        return self._answers.changed(self._answers.terminated(head), change)

    async def _bring(  # noqa: PLR0913, PLR0917 - see Service
        self,
        head: RequestHead,
        found: Found,
        wanted: Append | Create,
        body: Body,
        room: int | None,
        hold: Hold,
    ) -> UploadInfo:
        progress = self._hooks.progress
        if progress is None or body.at_hand:
            return await super()._bring(head, found, wanted, body, room, hold)
        try:
            async with progress.watched(head, found.info, lambda: hold.received, body.interrupt):
                return await super()._bring(head, found, wanted, body, room, hold)
        except UploadStoppedError:
            creating = self._creating.get(id(head))
            if creating is not None:
                creating.settle(found.info)  # it was made; first things first
            await self._terminated(head, found.info)
            raise

    async def _void(self, head: RequestHead, info: UploadInfo) -> None:
        await self._terminated(head, info)

    async def _ask(self, head: RequestHead, info: UploadInfo) -> tuple[UploadInfo, AnswerChange]:
        """Return what hooks make of *info*. Nobody is asked of what a quota refuses anyway."""
        asks = HookEvent.PRE_CREATE in self._hooks.events
        if asks and self._access is not None and head.permit is not None:
            await self._access.foresee(head.permit, info)
        return await self._hooks.pre_create(head, info)

    async def _terminated(self, head: RequestHead, info: UploadInfo) -> None:
        async with await self._hooks.expecting(head, info, HookEvent.POST_TERMINATE) as expecting:
            await self._remove(info.id)
            expecting.settle(info)

    async def _settle(
        self, head: RequestHead, expecting: Expecting, info: UploadInfo
    ) -> AnswerChange:
        """Let what was expected be told; return what hooks change of a finished upload's answer.

        Whatever is raised, the bytes stay, and what has come true is told. Raises
        UploadExistsError where something else is by now where a hook wanted the upload to appear.
        """
        if not info.complete:
            expecting.settle(info)
            return NO_CHANGE
        published = await self._hooks.published(info)
        if published.path != info.path:
            expecting.settle(published, moved=True)
            raise UploadExistsError("the storage path that a hook chose is taken")
        try:
            return await self._hooks.pre_finish(head, info)
        finally:
            expecting.settle(info)


def _may_be_whole(wanted: Create) -> bool:
    """Return whether the upload may be finished by the request that creates it."""
    told = _maybe_told(wanted)
    if told is not None:
        return told
    known = wanted.has_body and wanted.length is not None
    return wanted.length == 0 or (known and wanted.size in {None, wanted.length})


def _may_fill(wanted: Append, planned: AppendPlan) -> bool:
    """Return whether the upload may be finished by the request."""
    told = _maybe_told(wanted)
    if told is not None:
        return told
    return planned.length is not None and wanted.size in {None, planned.room}


def _maybe_told(wanted: Append | Create) -> bool | None:
    """Return whether the upload ends with the body, None where its bytes alone may end it."""
    resumption = wanted.resumption
    if not isinstance(resumption, Wanted) or (
        resumption.version.length_ends and not resumption.ends
    ):
        return None
    return resumption.ends


def _uploads(effect: Effect) -> Sequence[UploadId]:
    match effect:
        case Concatenate():
            return effect.partials
        case Append() | Inspect() | Terminate() | Download():
            return (effect.id,)
        case _:
            return ()
