"""Requests in, answers out: what each effect does, and in which order."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fileloft_fast.access import limited
from fileloft_fast.errors import (
    BodyCutError,
    BodyTimeoutError,
    FileloftError,
    ShuttingDownError,
    StorageFullError,
    UploadLockedError,
    UploadNotFoundError,
)
from fileloft_fast.model import (
    Body,
    Concat,
    Offset,
    RequestHead,
    Response,
    UploadId,
    UploadInfo,
)
from fileloft_fast.observe.request import current_request
from fileloft_fast.tus import download
from fileloft_fast.tus.effects import (
    IDENTITY,
    Append,
    Concatenate,
    Create,
    Download,
    Effect,
    Inspect,
    Options,
    Terminate,
)
from fileloft_fast.tus.plan import plan, plan_append, plan_concatenation, plan_create
from fileloft_fast.tus.responses import Answers
from fileloft_fast.uploads.failing import after_failure
from fileloft_fast.uploads.intake import Intake, check_held

if TYPE_CHECKING:
    from fileloft_fast.access import Access
    from fileloft_fast.stores import AnyStore, Found
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.tus.rules import TusRules
    from fileloft_fast.uploads.expiry import Expiry
    from fileloft_fast.uploads.locks import Hold, Locks

log = logging.getLogger(__name__)

# After these, tus 1.0 (creation-with-upload) wants the bytes of a creation kept.
_KEPT: Final = (BodyCutError, BodyTimeoutError, ShuttingDownError, UploadLockedError)

Serve = Callable[[RequestHead, Any, Body], Awaitable[Response]]


def _drawn_id(head: RequestHead) -> UploadId:
    """Return an id that nobody can guess, behind what the client's token wants it to begin with."""
    prefix = f"{head.permit.prefix}-" if head.permit is not None and head.permit.prefix else ""
    return UploadId(prefix + os.urandom(16).hex())  # secrets.token_hex: the same in four calls


def _owner(head: RequestHead) -> str:
    return head.permit.subject if head.permit is not None else ""


class Service:
    """Answers requests for the uploads of one store; see ``http1.site.Answerer``.

    *min_free_bytes*: below so much free space nothing is created (507). *cleanup_partials*: a
    concatenation removes what it was made of. *access* admits requests, None where nobody is asked
    who they are. *answers* are made by *rules* alone where not given. *mine* tells which
    ids may be made here.
    """

    def __init__(  # noqa: PLR0913 - the composition root hands every part in
        self,
        rules: TusRules,
        store: AnyStore,
        locks: Locks,
        intake: Intake,
        expiry: Expiry,
        *,
        min_free_bytes: int = 0,
        cleanup_partials: bool = False,
        access: Access | None = None,
        answers: Answers | None = None,
        mine: Callable[[UploadId], bool] = lambda _: True,
    ) -> None:
        self._mine = mine
        self._rules = rules
        self._store = store
        self._locks = locks
        self._intake = intake
        self._expiry = expiry
        self._min_free_bytes = min_free_bytes
        self._cleanup_partials = cleanup_partials
        self._access = access
        self._answers = Answers(rules) if answers is None else answers
        self._serve: dict[type[Effect], Serve] = {
            Options: self._options,
            Create: self._create,
            Concatenate: self._concatenate,
            Append: self._append,
            Inspect: self._inspect,
            Terminate: self._terminate,
            Download: self._download,
        }

    async def answer(self, head: RequestHead, body: Body) -> Response:
        """Serve one request; every refusal is a Response."""
        try:
            if self._access is not None:
                return await self._admit(self._access, head, body)
            effect = plan(head, self._rules)
            return await self._serve[type(effect)](head, effect, body)
        except FileloftError as error:
            return self.failed(error, head)

    async def _admit(self, access: Access, head: RequestHead, body: Body) -> Response:
        """Serve what the request's token allows; from here on nobody sees a token in a URL."""
        admitted = await access.admit(head)
        request = current_request()
        if request is not None:
            request.subject = _owner(admitted)
        effect = plan(admitted, self._rules_for(admitted))
        access.check(admitted, effect)
        # Before the lock: who may not see an upload must not disturb who works on it either.
        if isinstance(effect, Append | Inspect | Terminate) and not access.owns(
            admitted, effect.id
        ):
            await self._load(admitted, effect.id)
        response = await self._serve[type(effect)](admitted, effect, body)
        return access.addressed(head, response)

    def failed(self, error: Exception, head: RequestHead | None) -> Response:
        """Return the answer for *error*; failing storage goes to the log."""
        return after_failure(error, self._answers.failed(error, head), log)

    # -- effects --------------------------------------------------------------------------------

    async def _options(self, head: RequestHead, _wanted: Options, _body: Body) -> Response:
        return self._answers.options(head)

    async def _create(self, head: RequestHead, wanted: Create, body: Body) -> Response:
        await self._check_space(head)
        info = await self._make_counted(head, self._draft(head, wanted), wanted, body)
        return self._answers.created(head, info)

    def _new_id(self, head: RequestHead) -> UploadId:
        while not self._mine(drawn := _drawn_id(head)):
            continue
        return drawn

    def _draft(self, head: RequestHead, wanted: Create) -> UploadInfo:
        """Return what is to be made."""
        now = time.time()
        return UploadInfo(
            id=self._new_id(head),
            offset=Offset(0),
            length=wanted.length,
            metadata=wanted.metadata,
            concat=wanted.concat,
            concat_raw=wanted.concat_raw,
            created_at=now,
            modified_at=now,
            expires_at=self._expiry.after(now),
            owner=_owner(head),
        )

    async def _make_counted(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> UploadInfo:
        """Make *info* with what *body* brings; return it as it is then."""
        if self._access is None or head.permit is None:
            return await self._make(head, info, wanted, body)
        async with self._access.counted(head.permit, info, kept=_KEPT):
            info = await self._make(head, info, wanted, body)
        self._access.settle(info)
        return info

    async def _make(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> UploadInfo:
        if not wanted.has_body:
            await self._store.create(info, b"")
            return info
        planned = plan_create(wanted, self._rules_for(head))
        if body.at_hand and wanted.coding is IDENTITY:
            room = await self._room(head, info, planned, wanted)
            data = self._intake.verified(wanted, body, room)
            info = replace(info, offset=Offset(len(data)))
            await self._store.create(info, data)
            return info
        async with self._locks.hold(info.id, body) as hold:
            await self._store.create(info, b"")
            try:
                found = await self._store.load(info.id)
                room = await self._room(head, info, planned, wanted)
                received = await self._bring(head, found, wanted, body, room, hold)
                check_held(hold)
            except FileloftError as error:
                if isinstance(error, _KEPT):
                    await self._recount(info)
                else:
                    await self._store.remove(info.id)
                raise
            return self._expiry.renewed(received)

    async def _append(self, head: RequestHead, wanted: Append, body: Body) -> Response:
        async with self._locks.hold(wanted.id, body) as hold:
            found = await self._load(head, wanted.id)
            planned = plan_append(found.info, wanted, self._rules_for(head))
            info = await self._add(head, found, wanted, planned, body, hold)
            return self._answers.appended(head, self._expiry.renewed(info))

    async def _add(  # noqa: PLR0913, PLR0917 - a request, what it means, and who holds the upload
        self,
        head: RequestHead,
        found: Found,
        wanted: Append,
        planned: AppendPlan,
        body: Body,
        hold: Hold,
    ) -> UploadInfo:
        """Do what was planned; return the upload as it is then."""
        room = await self._room(head, found.info, planned, wanted)
        info = found.info
        if planned.length != info.length or planned.awaits_end != info.awaits_end:
            found = await self._store.declare(found, planned.length, awaits_end=planned.awaits_end)
        try:
            info = await self._bring(head, found, wanted, body, room, hold)
        except FileloftError:
            await self._recount(found.info)
            raise
        if self._access is not None:
            self._access.settle(info)
        check_held(hold)
        return info

    async def _bring(  # noqa: PLR0913, PLR0917
        self,
        head: RequestHead,  # noqa: ARG002 - for who tells of the progress
        found: Found,
        wanted: Append | Create,
        body: Body,
        room: int | None,
        hold: Hold,
    ) -> UploadInfo:
        return await self._intake.bring(found, wanted, body, room, hold)

    async def _concatenate(self, head: RequestHead, wanted: Concatenate, _body: Body) -> Response:
        await self._check_space(head)
        parts, info = await self._plan_join(head, wanted)
        info = await self._join_counted(head, info, parts)
        await self._clean_up(wanted)
        return self._answers.created(head, info)

    async def _plan_join(
        self, head: RequestHead, wanted: Concatenate
    ) -> tuple[list[Found], UploadInfo]:
        """Return the partial uploads, and what is to be made of them."""
        parts = [await self._maybe_load(head, upload) for upload in wanted.partials]
        known = [None if part is None else part.info for part in parts]
        length = plan_concatenation(wanted, known, self._rules_for(head))
        now = time.time()
        info = UploadInfo(
            id=self._new_id(head),
            offset=Offset(length),
            length=length,
            metadata=wanted.metadata,
            concat=Concat.FINAL,
            concat_raw=wanted.concat_raw,
            partials=wanted.partials,
            created_at=now,
            modified_at=now,
            expires_at=self._expiry.after(now),
            owner=_owner(head),
        )
        return [part for part in parts if part is not None], info

    async def _join_counted(
        self, head: RequestHead, info: UploadInfo, parts: list[Found]
    ) -> UploadInfo:
        if self._access is None or head.permit is None:
            return await self._store.concatenate(info, parts)
        async with self._access.counted(head.permit, info):
            return await self._store.concatenate(info, parts)

    async def _clean_up(self, wanted: Concatenate) -> None:
        """Remove what a final upload was made of, where that is wished."""
        if self._cleanup_partials:
            for upload in dict.fromkeys(wanted.partials):
                async with self._locks.hold(upload):
                    await self._remove(upload)

    async def _inspect(self, head: RequestHead, wanted: Inspect, _body: Body) -> Response:
        found = await self._look(head, wanted.id)
        await self._store.confirm(found)
        return self._answers.inspected(head, found.info)

    async def _terminate(self, head: RequestHead, wanted: Terminate, _body: Body) -> Response:
        async with self._locks.hold(wanted.id):
            await self._load(head, wanted.id)
            await self._remove(wanted.id)
        return self._answers.terminated(head)

    async def _download(self, head: RequestHead, wanted: Download, _body: Body) -> Response:
        found = await self._load(head, wanted.id)
        selection = download.select(head, found.info)
        if selection.length == 0:
            return self._answers.downloaded(head, selection)
        url = await self._store.locate(found)
        if url is not None:
            return self._answers.redirected(head, url)
        part = await self._store.read(found, selection.start, selection.length)
        return self._answers.downloaded(head, selection, part)

    # -- what they share ------------------------------------------------------------------------

    async def _look(self, head: RequestHead, upload: UploadId) -> Found:
        """Return an upload as it may be told of; a holder's bytes count where that can be known."""
        if self._store.guarded:
            async with self._locks.hold(upload):
                return await self._load(head, upload)
        await self._locks.settle(upload)
        found = await self._load(head, upload)
        if found.info.complete and self._locks.is_held(upload):
            # Full, but not yet acknowledged: whoever hears of it must be able to rely on it.
            async with self._locks.hold(upload):
                found = await self._load(head, upload)
        return found

    async def _load(self, head: RequestHead, upload: UploadId) -> Found:
        """Return a living upload that the client may see. UploadNotFoundError, UploadGoneError."""
        found: Found = await self._store.load(upload)
        if self._access is not None:
            assert head.permit is not None, "admitted without a token"
            self._access.check_sees(head.permit, found.info)
        self._expiry.check(found.info)
        return found

    async def _maybe_load(self, head: RequestHead, upload: UploadId) -> Found | None:
        try:
            return await self._load(head, upload)
        except UploadNotFoundError:
            return None

    async def _remove(self, upload: UploadId) -> None:
        await self._store.remove(upload)
        if self._access is not None:
            self._access.release(upload)

    # -- what a token allows --------------------------------------------------------------------

    def _rules_for(self, head: RequestHead) -> TusRules:
        return self._rules if head.permit is None else limited(self._rules, head.permit)

    async def _room(
        self, head: RequestHead, info: UploadInfo, planned: AppendPlan, wanted: Append | Create
    ) -> int | None:
        """Return how many bytes the request may bring, by what is planned and by its quota."""
        if self._access is None or head.permit is None:
            return planned.room
        return await self._access.room(head.permit, info, planned, wanted.size)

    async def _recount(self, info: UploadInfo) -> None:
        """Count what is left of a request that failed, where its size was not known before."""
        if self._access is not None and info.length is None:
            # What went wrong before is what the client must hear of; an audit makes up for this.
            with contextlib.suppress(FileloftError):
                self._access.settle((await self._store.load(info.id)).info)

    async def _check_space(self, head: RequestHead) -> None:
        """Raise what keeps anything from being made now, whatever it is."""
        if await self._store.free_bytes() < self._min_free_bytes:
            raise StorageFullError("less than FILELOFT_MIN_FREE is left")
        if self._access is not None and head.permit is not None:
            self._access.take_turn(head.permit)
