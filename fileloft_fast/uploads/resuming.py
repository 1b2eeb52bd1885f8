"""The same orchestration for the IETF's protocol: what it does otherwise than tus.

A 104 names the upload before its body comes. Bytes alone do not complete an upload here: its client
says which body is the last one. And the whole may have to hash to what the client has told.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, Self

from msgspec.structs import replace

from fileloft_fast.errors import (
    ChecksumMismatchError,
    CompletedUploadError,
    DigestMismatchError,
    FileloftError,
    InconsistentLengthError,
    OverrunError,
    StoreError,
    TooLargeError,
)
from fileloft_fast.model import Offset, ResumableMode
from fileloft_fast.resumable.plan import (
    awaits_end_of,
    claim,
    exceeded,
    is_end,
    plan,
    plan_append,
    plan_create,
    plan_end,
)
from fileloft_fast.resumable.rules import ResumableRules, least_size
from fileloft_fast.resumable.wanted import ResumptionPlan, Wanted, effect_of
from fileloft_fast.uploads.intake import check_expected, hashed
from fileloft_fast.uploads.progressing import Telling
from fileloft_fast.uploads.service import KEPT, Service

if TYPE_CHECKING:
    from fileloft_fast.model import Body, RequestHead, UploadInfo
    from fileloft_fast.resumable.speaking import SpeakingAnswers
    from fileloft_fast.stores import Found
    from fileloft_fast.tus.effects import Append, Create, Effect
    from fileloft_fast.tus.plan import AppendPlan
    from fileloft_fast.tus.rules import TusRules
    from fileloft_fast.uploads.locks import Hold

_OFF: Final = ResumableRules(mode=ResumableMode.OFF)

# Once a 104 has named it, the client may ask for the upload whatever became of the request.
_KEPT_IF_NAMED: Final = (*KEPT, StoreError, ChecksumMismatchError, InconsistentLengthError)


class ResumingService(Service):
    """A ``Service`` that speaks the IETF's protocol, too, once it was told the rules of it."""

    _resumable: ResumableRules = _OFF
    _speaking: SpeakingAnswers | None = None
    _tells_progress: bool = False

    def speak(
        self, answers: SpeakingAnswers, *, hashes: tuple[str, ...] = (), tells_progress: bool
    ) -> Self:
        """Speak by the rules of *answers* from now on; called before the first request.

        *hashes*: algorithms in which every upload is hashed as a whole, by whatever protocol.
        *tells_progress*: what the store has taken of a body is as safe as an offset that it tells.
        """
        self._answers = self._speaking = answers
        self._resumable = answers.resumable
        self._mark = answers.mark
        self._hashes = hashes
        self._tells_progress = tells_progress
        return self

    # -- what a request asks for ----------------------------------------------------------------

    def _plan(self, head: RequestHead, rules: TusRules) -> Effect:
        version = claim(head, self._resumable)
        if version is None:
            return super()._plan(head, rules)
        return effect_of(plan(head, version, self._with(rules)))

    async def _plan_append(self, head: RequestHead, info: UploadInfo, wanted: Append) -> AppendPlan:
        resumption = _resumption(wanted)
        if resumption is None:
            planned = await super()._plan_append(head, info, wanted)
        else:
            try:
                planned = plan_append(info, resumption, self._with(self._rules_for(head)))
            except OverrunError:
                await self._void_by(head, info, resumption)
                raise
        if info.expected and not info.complete:
            # What is to be verified is complete after that, not when its bytes are there.
            return replace(planned, awaits_end=True)
        return planned

    def _with(self, rules: TusRules) -> ResumableRules:
        """Return the rules of this protocol that go with those of tus for one token."""
        ours = self._resumable
        if rules is ours.tus:
            return ours
        least = least_size(ours.min_size, rules.max_size)
        return dataclasses.replace(ours, tus=rules, min_size=least)

    # -- creation -------------------------------------------------------------------------------

    def _drafted(self, info: UploadInfo, wanted: Create) -> UploadInfo:
        resumption = _resumption(wanted)
        if resumption is None:
            return info
        expected = resumption.representation[:1]  # a second one, of the same bytes, proves no more
        awaits_end = bool(expected) or awaits_end_of(wanted, resumption, wanted.length)
        if not (awaits_end or resumption.wishes):
            return info
        asked = (*(each.algorithm for each in expected), *resumption.wishes[:1])
        return replace(
            info,
            awaits_end=awaits_end,
            hashes=tuple(dict.fromkeys((*self._hashes, *asked))),
            expected=expected,
        )

    async def _make_resumable(
        self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body
    ) -> UploadInfo:
        resumption = _resumption(wanted)
        assert resumption is not None
        room = None
        told = wanted.size is not None and wanted.length is not None  # and compared by ``plan``
        if not (told and body.at_hand and self._access is None):
            planned = plan_create(resumption, self._with(self._rules_for(head)))
            if not body.at_hand:
                return await self._make_held(head, info, wanted, planned, body)
            room = await self._room(head, info, planned, wanted)
        try:
            data = self._intake.verified(wanted, body, room)
        except TooLargeError as error:
            raise self._exceeded(head, info) from error
        info = _holding(info, resumption, data)
        await self._store.create(info, data)
        self._announce(head, info, resumption, body)
        return info

    async def _begin(self, head: RequestHead, info: UploadInfo, wanted: Create, body: Body) -> None:
        await super()._begin(head, info, wanted, body)
        resumption = _resumption(wanted)
        if resumption is not None:
            self._announce(head, info, resumption, body)

    def _announce(
        self, head: RequestHead, info: UploadInfo, resumption: Wanted, body: Body
    ) -> None:
        """Name the upload, not before it is there: who hears of it may ask for it at once."""
        if resumption.announces and self._speaking is not None:
            interim = self._speaking.announced(head, info, resumption.version)
            if self._access is not None:
                interim = self._access.addressed(body.head, interim)
            body.announce(interim)

    def _kept(self, wanted: Create) -> tuple[type[FileloftError], ...]:
        resumption = _resumption(wanted)
        if resumption is None or not resumption.announces:
            return super()._kept(wanted)
        return (
            _KEPT_IF_NAMED if resumption.version.overrun_voids else (*_KEPT_IF_NAMED, OverrunError)
        )

    # -- bytes ----------------------------------------------------------------------------------

    async def _take_resumable(  # noqa: PLR0913, PLR0917 - see Service
        self,
        head: RequestHead,
        found: Found,
        wanted: Append,
        planned: AppendPlan,
        body: Body,
        hold: Hold,
    ) -> UploadInfo:
        if isinstance(planned, ResumptionPlan) and planned.replayed:
            if wanted.size is None and await body.read():
                raise CompletedUploadError("the upload is complete")
            await self._store.confirm(found)
            return found.info
        try:
            return await self._take(head, found, wanted, planned, body, hold)
        except OverrunError:
            resumption = _resumption(wanted)
            assert resumption is not None, "tus has no overruns"
            await self._void_by(head, found.info, resumption)
            raise
        except DigestMismatchError:
            await self._void(head, found.info)
            raise

    async def _void_by(self, head: RequestHead, info: UploadInfo, resumption: Wanted) -> None:
        """Make an end of an upload that a body ran past the length of, where the version does."""
        if resumption.version.overrun_voids:
            await self._void(head, info)

    async def _void(self, head: RequestHead, info: UploadInfo) -> None:  # noqa: ARG002 - see HookedService
        await self._remove(info.id)

    async def _bring_resumable(  # noqa: PLR0913, PLR0917 - see Service
        self,
        head: RequestHead,
        found: Found,
        wanted: Append | Create,
        body: Body,
        room: int | None,
        hold: Hold,
    ) -> UploadInfo:
        bring = self._intake.bring
        resumption = _resumption(wanted)
        if resumption is None:
            info = await bring(found, wanted, body, room, hold)
            ends = info.offset == info.length
            return await self._end(info, info.length) if ends and info.awaits_end else info
        try:
            checked = wanted.checksum is not None
            if self._speaking is None or not self._tells_progress or checked or body.at_hand:
                info = await bring(found, wanted, body, room, hold)
            else:
                answers = self._speaking
                with Telling(body, found.info, hold, lambda at: answers.progressed(head, at)):
                    info = await bring(found, wanted, body, room, hold)
        except TooLargeError as error:
            raise self._exceeded(head, found.info) from error
        if not is_end(resumption, info.length, info.offset):
            return info
        length = plan_end(resumption, info.length, info.offset)
        return await self._end(info, length) if info.awaits_end else info

    def _exceeded(self, head: RequestHead, info: UploadInfo) -> FileloftError:
        """Return what a body is refused with that brings more than *info* has room for."""
        rules = self._with(self._rules_for(head))
        return exceeded(info.offset, info.length, rules)

    async def _end(self, info: UploadInfo, length: int | None) -> UploadInfo:
        """Complete an upload that has all its bytes. Raises DigestMismatchError."""
        found = await self._store.load(info.id)
        if info.expected:
            check_expected(info, await self._store.digests(found))
        found = await self._store.declare(found, length, awaits_end=False)
        return await self._store.append(found, b"")  # which makes it as safe as a last byte does


def _resumption(wanted: Append | Create) -> Wanted | None:
    resumption = wanted.resumption
    return resumption if isinstance(resumption, Wanted) else None


def _holding(info: UploadInfo, resumption: Wanted, data: bytes) -> UploadInfo:
    """Return *info* as it is with a body that was all at hand. Raises DigestMismatchError."""
    offset = Offset(len(data))
    filled = info.length == offset and not info.awaits_end
    if filled or not is_end(resumption, info.length, offset):
        info = replace(info, offset=offset)
    else:
        length = plan_end(resumption, info.length, offset)
        info = replace(info, offset=offset, length=length, awaits_end=False)
    return hashed(info, data) if info.hashes else info
