"""Requests in, answers out: what each effect does, and in which order."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from fileloft_fast.errors import (
    BodyCutError,
    BodyTimeoutError,
    FileloftError,
    ShuttingDownError,
    UploadLockedError,
)
from fileloft_fast.model import Body, Concat, Offset, RequestHead, Response, UploadInfo
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
from fileloft_fast.tus.plan import plan_append, plan_concatenation, plan_create
from fileloft_fast.uploads.admitting import Admitting, Serve, owner_of
from fileloft_fast.uploads.intake import check_held, hashed

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from fileloft_fast.access import Access
    from fileloft_fast.model import Permit
    from fileloft_fast.stores import Found
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.uploads.locks import Hold

# After these, tus 1.0 (creation-with-upload) wants the bytes of a creation kept.
KEPT: Final[tuple[type[FileloftError], ...]] = (
    BodyCutError,
    BodyTimeoutError,
    ShuttingDownError,
    UploadLockedError,
)


class Service(Admitting):
    """Answers requests for the uploads of one store; see ``http1.site.Answerer``."""

    def _serving(self) -> dict[type[Effect], Serve]:
        return {
            Options: self._options,
            Create: self._create,
            Concatenate: self._concatenate,
            Append: self._append,
            Inspect: self._inspect,
            Terminate: self._terminate,
            Download: self._download,
        }

    # -- effects --------------------------------------------------------------------------------

    async def _options(self, head: RequestHead, _wanted: Options, _body: Body) -> Response:
        return self._answers.options(head)

    async def _create(self, head: RequestHead, wanted: Create, body: Body) -> Response:
        await self._check_space(head)
        info = await self._make_counted(head, self._draft(head, wanted), wanted, body)
        return self._answers.created(head, info)

    def _draft(self, head: RequestHead, wanted: Create) -> UploadInfo:
        """Return what is to be made.

        Another protocol hooks in where ``wanted.resumption`` is set, and nowhere else: to every
        request of tus, a call less is a percent.
        """
        now = time.time()
        info = UploadInfo(
            id=self._new_id(head),
            offset=Offset(0),
            length=wanted.length,
            metadata=wanted.metadata,
            concat=wanted.concat,
            concat_raw=wanted.concat_raw,
            created_at=now,
            modified_at=now,
            expires_at=self._expiry.after(now),
            owner=owner_of(head),
            hashes=self._hashes,
        )
        return info if wanted.resumption is None else self._drafted(info, wanted)

    def _make_counted(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> Coroutine[Any, Any, UploadInfo]:
        """Make *info* with what *body* brings; return it as it is then."""
        if self._access is None or head.permit is None:
            return self._make(head, info, wanted, body)
        return self._make_allowed(head, info, wanted, body, self._access, head.permit)

    async def _make_allowed(  # noqa: PLR0913, PLR0917 - a request, and what it may do
        self,
        head: RequestHead,
        info: UploadInfo,
        wanted: Create,
        body: Body,
        access: Access,
        permit: Permit,
    ) -> UploadInfo:
        async with access.counted(permit, info):
            info = await self._make(head, info, wanted, body)
        access.settle(info)
        return info

    async def _make(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> UploadInfo:
        if wanted.resumption is not None:
            return await self._make_resumable(head, info, wanted, body)
        if not wanted.has_body:
            if info.hashes:
                info = hashed(info, b"")
            await self._store.create(info, b"")
            return info
        planned = plan_create(wanted, self._rules_for(head))
        if body.at_hand and wanted.coding is IDENTITY:
            room = planned.room
            if self._access is not None:
                room = await self._room(head, info, planned, wanted)
            data = self._intake.verified(wanted, body, room)
            info = replace(info, offset=Offset(len(data)))
            if info.hashes:
                info = hashed(info, data)
            await self._store.create(info, data)
            return info
        return await self._make_held(head, info, wanted, planned, body)

    async def _make_held(
        self,
        head: RequestHead,
        info: UploadInfo,
        wanted: Create,
        planned: AppendPlan,
        body: Body,
    ) -> UploadInfo:
        """Make *info*, and hold it until its body has come."""
        async with self._locks.hold(info.id, body) as hold:
            await self._begin(head, info, wanted, body)
            try:
                found = await self._store.load(info.id)
                room = await self._room(head, info, planned, wanted)
                received = await self._bring(head, found, wanted, body, room, hold)
                check_held(hold)
            except FileloftError as error:
                error.leaves_upload = isinstance(error, self._kept(wanted))
                if error.leaves_upload:
                    await self._recount(info)
                else:
                    await self._store.remove(info.id)
                raise
            return self._expiry.renewed(received)

    # What another protocol does otherwise; see ``uploads.resuming``.

    @abstractmethod
    def _drafted(self, info: UploadInfo, wanted: Create) -> UploadInfo:
        """Return what is to be made, with what another protocol wants of it."""

    @abstractmethod
    async def _make_resumable(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> UploadInfo:
        """Make *info* as another protocol wants it."""

    async def _begin(
        self,
        head: RequestHead,  # noqa: ARG002 - for who tells of it while the body comes
        info: UploadInfo,
        wanted: Create,  # noqa: ARG002
        body: Body,  # noqa: ARG002
    ) -> None:
        """Make *info*, whose body is still to come."""
        await self._store.create(info, b"")

    async def _plan_append(self, head: RequestHead, info: UploadInfo, wanted: Append) -> AppendPlan:
        """Return what an append may do where not tus alone has a say in it."""
        return plan_append(info, wanted, self._rules_for(head))

    @abstractmethod
    async def _take_resumable(  # noqa: PLR0913, PLR0917 - see _take
        self,
        head: RequestHead,
        found: Found,
        wanted: Append,
        planned: AppendPlan,
        body: Body,
        hold: Hold,
    ) -> UploadInfo:
        """Store what was planned as another protocol wants it."""

    @abstractmethod
    async def _bring_resumable(  # noqa: PLR0913, PLR0917 - see _bring
        self,
        head: RequestHead,
        found: Found,
        wanted: Append | Create,
        body: Body,
        room: int | None,
        hold: Hold,
    ) -> UploadInfo:
        """Store the bytes of *body* as another protocol wants it."""

    def _kept(self, wanted: Create) -> tuple[type[FileloftError], ...]:  # noqa: ARG002
        """Return the errors after which what a creation has made stays."""
        return KEPT

    # -------------------------------------------------------------------------------------------

    async def _append(self, head: RequestHead, wanted: Append, body: Body) -> Response:
        async with self._locks.hold(wanted.id, body) as hold:
            found = await self._load(head, wanted.id)
            if wanted.resumption is None and not found.info.expected:
                planned = plan_append(found.info, wanted, self._rules_for(head))
            else:
                planned = await self._plan_append(head, found.info, wanted)
            info = await self._add(head, found, wanted, planned, body, hold)
            info = self._expiry.renewed(info)
            if info.offset == info.length:  # else it is one call less, for most parts
                return self._answer_append(head, found.info, info)
            return self._answers.appended(head, info)

    def _answer_append(self, head: RequestHead, was: UploadInfo, info: UploadInfo) -> Response:
        """Answer an append to what *was*, by which it is *info*."""
        if info.complete and not was.complete:
            return self._answers.completed(head, info)
        return self._answers.appended(head, info)

    def _add(  # noqa: PLR0913, PLR0917 - a request, what it means, and who holds the upload
        self,
        head: RequestHead,
        found: Found,
        wanted: Append,
        planned: AppendPlan,
        body: Body,
        hold: Hold,
    ) -> Coroutine[Any, Any, UploadInfo]:
        """Do what was planned; return the upload as it is then."""
        if wanted.resumption is None and not found.info.expected:
            return self._take(head, found, wanted, planned, body, hold)
        return self._take_resumable(head, found, wanted, planned, body, hold)

    async def _take(  # noqa: PLR0913, PLR0917
        self,
        head: RequestHead,
        found: Found,
        wanted: Append,
        planned: AppendPlan,
        body: Body,
        hold: Hold,
    ) -> UploadInfo:
        """Store what was planned."""
        room = planned.room
        if self._access is not None:
            room = await self._room(head, found.info, planned, wanted)
        was = found.info
        if planned.length != was.length or planned.awaits_end != was.awaits_end:
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

    def _bring(  # noqa: PLR0913, PLR0917
        self,
        head: RequestHead,
        found: Found,
        wanted: Append | Create,
        body: Body,
        room: int | None,
        hold: Hold,
    ) -> Coroutine[Any, Any, UploadInfo]:
        """Store the bytes of *body*."""
        if wanted.resumption is None and not found.info.awaits_end:
            return self._intake.bring(found, wanted, body, room, hold)
        return self._bring_resumable(head, found, wanted, body, room, hold)

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
            owner=owner_of(head),
            hashes=self._hashes,
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
